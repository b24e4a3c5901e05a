import TestSupport
import Testing

/// A way to convert the digits sample, and what it may cost.
struct Scheme: CustomTestStringConvertible, Sendable {
  let testDescription: String
  let flags: [String]
  var output = "digits.qmodel"
  /// Largest loss of top-1 accuracy, in points.
  let drop: String
  /// Least SQNR of the logits, in dB.
  let sqnr: Double
  /// Largest file size for the 46,570 parameters.
  let bytes: Int
  /// What `verify` is told about images; nothing where the file declares it.
  var declared: [String] = []

  static let all = [
    Scheme(
      testDescription: "int8 per-channel static",
      flags: ["--int8", "--per-channel"] + Tool.calibration,
      drop: "1",
      sqnr: 33,
      bytes: 65_000
    ),
    Scheme(
      testDescription: "int8 per-tensor static",
      flags: ["--int8", "--per-tensor"] + Tool.calibration,
      drop: "1",
      sqnr: 28,
      bytes: 62_000
    ),
    Scheme(
      testDescription: "int8 static, moving average, calibrated on 40 samples",
      flags: ["--int8", "--observer", "moving-average", "--samples", "40"] + Tool.calibration,
      drop: "1",
      sqnr: 20,
      bytes: 65_000
    ),
    Scheme(
      testDescription: "int8 dynamic",
      flags: ["--int8", "--dynamic"] + Tool.preprocessing,
      drop: "0.5",
      sqnr: 33,
      bytes: 65_000
    ),
    Scheme(
      testDescription: "fp16",
      flags: ["--fp16"] + Tool.preprocessing,
      drop: "0",
      sqnr: 60,
      bytes: 105_000
    ),
    Scheme(
      testDescription: "fp32",
      flags: Tool.preprocessing,
      drop: "0",
      sqnr: 110,
      bytes: 195_000
    ),
    Scheme(
      testDescription: "int8 compressed",
      flags: ["--int8", "--compress"] + Tool.calibration,
      drop: "1",
      sqnr: 33,
      bytes: 60_000
    ),
    Scheme(
      testDescription: "int8 as safetensors",
      flags: ["--int8"] + Tool.calibration,
      output: "digits.safetensors",
      drop: "1",
      sqnr: 33,
      bytes: 130_000
    ),
  ]
}

@Suite struct ConversionTests {
  @Test("the sample survives conversion", arguments: Scheme.all)
  func accuracy(_ scheme: Scheme) throws {
    try withTemporaryFolder { folder in
      let report = try Tool.succeed([Tool.model, scheme.output, "--json"] + scheme.flags, in: folder).object()
      let bytes = try #require(report["file_bytes"] as? Int)
      #expect(bytes == (try readFile("\(folder)/\(scheme.output)").count))
      #expect(bytes <= scheme.bytes)
      let result = try Tool.succeed(
        [
          "verify", Tool.model, scheme.output, "--data", "\(Tool.digits)/test", "--max-drop", scheme.drop,
          "--json",
        ],
        in: folder
      ).object()
      #expect(result["samples"] as? Int == 400)
      #expect(try #require(result["top1_reference"] as? Double) >= 0.97)
      #expect(try #require(result["sqnr_db"] as? Double) >= scheme.sqnr)
      #expect(try #require(result["top1_agreement"] as? Double) >= 0.98)
    }
  }

  @Test("a bare checkpoint converts like the exported model")
  func checkpoint() throws {
    try withTemporaryFolder { folder in
      try Tool.succeed(
        ["\(Tool.digits)/digits.safetensors", "a.qmodel", "--int8"] + Tool.calibration,
        in: folder
      )
      let result = try Tool.succeed(
        ["verify", Tool.model, "a.qmodel", "--data", "\(Tool.digits)/test", "--max-drop", "1", "--json"],
        in: folder
      ).object()
      #expect(try #require(result["top1_agreement"] as? Double) >= 0.98)
    }
  }

  @Test("a .qmodel and a .safetensors with a graph hold the same network")
  func roundTrip() throws {
    try withTemporaryFolder { folder in
      try Tool.succeed([Tool.model, "a.qmodel", "--int8"] + Tool.calibration, in: folder)
      try Tool.succeed(["a.qmodel", "b.safetensors"], in: folder)
      try Tool.succeed(["b.safetensors", "c.qmodel", "--compress"], in: folder)
      try Tool.succeed(["c.qmodel", "d.safetensors"], in: folder)
      #expect(try readFile("\(folder)/b.safetensors") == readFile("\(folder)/d.safetensors"))
      let result = try Tool.succeed(["verify", "a.qmodel", "d.safetensors", "--json"], in: folder).object()
      #expect(result["max_abs_error"] as? Double == 0)
      #expect(result["synthetic"] as? Bool == true)
    }
  }

  @Test("a quantized network written as .onnx keeps its results and its scheme", arguments: Scheme.all)
  func onnx(_ scheme: Scheme) throws {
    try withTemporaryFolder { folder in
      try Tool.succeed([Tool.model, "a.qmodel"] + scheme.flags, in: folder)
      try Tool.succeed(["a.qmodel", "b.onnx"], in: folder)
      try Tool.succeed(["b.onnx", "c.qmodel"], in: folder)
      let schemes = try ["a.qmodel", "b.onnx", "c.qmodel"].map { file in
        try Tool.succeed(["inspect", file, "--json"], in: folder).object()["scheme"] as? String
      }
      #expect(schemes[0] != nil && schemes[1] == schemes[0] && schemes[2] == schemes[0])
      for file in ["b.onnx", "c.qmodel"] {
        let result = try Tool.succeed(["verify", "a.qmodel", file, "--json"], in: folder).object()
        #expect(try #require(result["max_abs_error"] as? Double) < 1e-5, "\(file)")
      }
    }
  }

  @Test("a missed threshold is exit code 1 with the report on standard output")
  func threshold() throws {
    try withTemporaryFolder { folder in
      try Tool.succeed([Tool.model, "a.qmodel", "--int8"] + Tool.preprocessing, in: folder)
      let outcome = try Tool.run(
        [
          "verify", Tool.model, "a.qmodel", "--data", "\(Tool.digits)/test", "--samples", "20", "--min-sqnr",
          "90",
        ],
        in: folder
      )
      #expect(outcome.status == 1)
      #expect(outcome.output.contains("FAILED: "))
    }
  }

  @Test("the same input and flags give the same bytes, for any number of threads")
  func determinism() throws {
    try withTemporaryFolder { folder in
      for flags in [["--int8"] + Tool.calibration, ["--int8", "--compress"], ["--fp16"]] {
        var files: [[UInt8]] = []
        for threads in ["1", "2", "3"] {
          try Tool.succeed([Tool.model, "a.qmodel", "--threads", threads] + flags, in: folder)
          files.append(try readFile("\(folder)/a.qmodel"))
        }
        #expect(files[0] == files[1] && files[0] == files[2], "\(flags)")
      }
    }
  }

  @Test("the output may replace the input")
  func inPlace() throws {
    try withTemporaryFolder { folder in
      try Tool.succeed([Tool.model, "a.qmodel"], in: folder)
      try Tool.succeed(["a.qmodel", "a.qmodel", "--fp16"], in: folder)
      let report = try Tool.succeed(["inspect", "a.qmodel", "--json"], in: folder).object()
      #expect(report["scheme"] as? String == "fp16")
      #expect(entries(folder) == ["a.qmodel"])
    }
  }

  @Test("graphs and remarks go to standard error, so that standard output stays JSON")
  func streams() throws {
    try withTemporaryFolder { folder in
      let outcome = try Tool.succeed(
        [Tool.model, "a.qmodel", "--int8", "--print-ir-after", "fold-batch-norm", "--remarks", "--json"],
        in: folder
      )
      #expect(try outcome.object()["scheme"] as? String == "int8 per-channel dynamic")
      #expect(outcome.errors.contains("after fold-batch-norm:"))
      #expect(outcome.errors.contains("hint: "))
    }
  }
}
