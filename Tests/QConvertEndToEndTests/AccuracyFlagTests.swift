import TestSupport
import Testing

/// Flags that win accuracy back, and calibration in parts.
@Suite struct AccuracyFlagTests {
  private func bytes(_ flags: [String], in folder: String) throws -> [UInt8] {
    try Tool.succeed(
      [Tool.model, "a.qmodel", "--int8", "--samples", "40"] + flags + Tool.calibration,
      in: folder
    )
    return try readFile("\(folder)/a.qmodel")
  }

  private func scheme(_ folder: String) throws -> String {
    let report = try Tool.succeed(["inspect", "a.qmodel", "--json"], in: folder).object()
    return try #require(report["scheme"] as? String)
  }

  private func sqnr(_ folder: String) throws -> Double {
    let result = try Tool.succeed(
      ["verify", Tool.model, "a.qmodel", "--data", "\(Tool.digits)/test", "--max-drop", "1", "--json"],
      in: folder
    ).object()
    return try #require(result["sqnr_db"] as? Double)
  }

  @Test("each way to recover changes the file, is recorded, and does what it is for")
  func recovery() throws {
    try withTemporaryFolder { folder in
      let plain = try bytes(["--per-tensor", "--no-bias-correction"], in: folder)
      let before = try sqnr(folder)
      for (flags, word) in [
        (["--bias-correction"], "bias-corrected"), (["--rounding", "gptq"], "gptq rounding"),
        (["--adaround"], "adaround rounding"),
        (["--adaround", "--bias-correction"], "adaround rounding, bias-corrected"),
      ] {
        #expect(try bytes(["--per-tensor"] + flags, in: folder) != plain)
        #expect(try scheme(folder) == "int8 per-tensor static, \(word)")
        #expect(try sqnr(folder) > before, "\(flags)")
      }
    }
  }

  @Test("--equalize evens out channels after --relu6 swap, and is recorded")
  func equalize() throws {
    try withTemporaryFolder { folder in
      let swapped = try bytes(["--per-tensor", "--relu6", "swap"], in: folder)
      #expect(try bytes(["--per-tensor", "--relu6", "swap", "--equalize"], in: folder) != swapped)
      #expect(try scheme(folder) == "int8 per-tensor static, equalized")
      let report = try Tool.succeed(["inspect", "a.qmodel", "--json"], in: folder).object()
      #expect((report["passes"] as? [String])?.contains("equalize-channels") == true)
      #expect(try sqnr(folder) > 20)
    }
  }

  @Test("--adaround is --rounding adaround")
  func adaround() throws {
    try withTemporaryFolder { folder in
      let short = try bytes(["--adaround"], in: folder)
      let long = try bytes(["--rounding", "adaround"], in: folder)
      #expect(short == long)
    }
  }

  @Test("--calibration takes merged shards and gives the bytes of --calibrate")
  func calibration() throws {
    try withTemporaryFolder { folder in
      let expected = try bytes(["--observer", "entropy"], in: folder)
      let data = ["--data", "\(Tool.digits)/calibration", "--samples", "40"] + Tool.preprocessing
      for shard in ["1/2", "2/2"] {
        try Tool.succeed(
          ["calibrate", Tool.model, "--shard", shard, "-o", "\(shard.prefix(1)).json"] + data,
          in: folder
        )
      }
      try Tool.succeed(["calibrate", "--merge", "2.json", "1.json", "-o", "all.json"], in: folder)
      try Tool.succeed(
        [Tool.model, "a.qmodel", "--int8", "--calibration", "all.json", "--observer", "entropy"],
        in: folder
      )
      #expect(try readFile("\(folder)/a.qmodel") == expected)
      let partial = try Tool.run(["calibrate", "--merge", "1.json", "1.json", "-o", "x.json"], in: folder)
      #expect(partial.status == 1 && partial.errors.contains("both hold sample 0"))
    }
  }

  @Test(
    "flags that contradict each other are wrong usage",
    arguments: [
      ["--bias-correction"], ["--int8", "--adaround"], ["--int8", "--rounding", "up", "--calibrate", "x"],
      ["--int8", "--rounding", "gptq", "--dynamic"], ["--calibration", "x.json"],
      ["--int8", "--calibration", "x.json", "--dynamic"], ["--keep-float", "x"],
      ["--int8", "--max-drop", "1"],
      ["--int8", "--sensitivity", "x.json"], ["--int8", "--judge", "x"],
      ["--int8", "--calibrate", "x", "--max-drop", "-1"],
    ]
  )
  func usage(_ flags: [String]) throws {
    try withTemporaryFolder { folder in
      let outcome = try Tool.run([Tool.model, "a.qmodel"] + flags, in: folder)
      #expect(outcome.status == 64, "\(outcome.errors)")
      #expect(entries(folder).isEmpty)
    }
  }

  @Test("statistics that do not fit are refused in one line")
  func refusals() throws {
    try withTemporaryFolder { folder in
      try write(Array("{\"format\": 1}".utf8), to: "\(folder)/bad.json")
      for name in ["bad.json", "absent.json"] {
        let outcome = try Tool.run([Tool.model, "a.qmodel", "--int8", "--calibration", name], in: folder)
        #expect(outcome.status == 1)
        #expect(outcome.errors.contains("\(name): calibration statistics: cannot be read"))
        #expect(outcome.errors.contains("[K8]"))
      }
      #expect(entries(folder) == ["bad.json"])
    }
  }
}
