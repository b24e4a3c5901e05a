import TestSupport
import Testing

@Suite struct PreflightTests {
  private let wrong = [
    Tool.model, "a.qmodel", "--int8", "--calibrate", "\(Tool.digits)/calibration", "--resize", "32",
  ]

  @Test("wrong calibration data are told on standard error and in the report, and refused when strict")
  func convert() throws {
    try withTemporaryFolder { folder in
      let told = try Tool.succeed(wrong + ["--json"], in: folder)
      #expect(told.errors.contains("warning: preflight, certain: samples are pixels 0...255"))
      #expect(told.errors.contains("; give --scale 255 --mean 0.3"))
      let report = try #require(try told.object()["preflight"] as? [String: Any])
      let findings = try #require(report["findings"] as? [[String: Any]])
      #expect(findings.first?["cause"] as? String == "too-large")
      #expect(findings.first?["certainty"] as? String == "certain")
      let refused = try Tool.run(wrong + ["--preflight", "strict"], in: folder)
      #expect(
        refused.status == 1 && refused.errors.contains("calibration: calibration data: samples are pixels")
      )
      #expect(refused.errors.contains("[D12]; give --scale 255") && !refused.errors.contains("warning: "))
      let silent = try Tool.succeed(wrong + ["--preflight", "off", "--json"], in: folder)
      #expect(!silent.errors.contains("preflight"))
      #expect(try silent.object()["preflight"] == nil)
    }
  }

  @Test("right data pass the strict check of every command")
  func right() throws {
    try withTemporaryFolder { folder in
      let strict = ["--preflight", "strict"]
      let converted = try Tool.succeed(
        [Tool.model, "a.qmodel", "--int8"] + Tool.calibration + strict,
        in: folder
      )
      #expect(!converted.errors.contains("preflight"))
      let verified = try Tool.succeed(
        ["verify", Tool.model, "a.qmodel", "--data", "\(Tool.digits)/test", "--samples", "40", "--json"]
          + strict,
        in: folder
      )
      let report = try #require(try verified.object()["preflight"] as? [String: Any])
      #expect((report["findings"] as? [Any])?.isEmpty == true)
      #expect(try #require(report["distance"] as? Double) < 0.05)
      try Tool.succeed(
        ["calibrate", Tool.model, "--data", "\(Tool.digits)/calibration", "-o", "s.json"] + Tool.preprocessing
          + strict,
        in: folder
      )
    }
  }

  @Test("calibrate and verify refuse wrong data when strict")
  func others() throws {
    try withTemporaryFolder { folder in
      try Tool.succeed([Tool.model, "a.qmodel"] + Tool.preprocessing, in: folder)
      let data = [
        "--data", "\(Tool.digits)/calibration", "--resize", "32", "--scale", "255", "--preflight", "strict",
      ]
      let calibrated = try Tool.run(["calibrate", Tool.model, "-o", "s.json"] + data, in: folder)
      #expect(calibrated.status == 1 && calibrated.errors.contains("(normalization) [D12]"))
      let verified = try Tool.run(["verify", Tool.model, "a.qmodel"] + data, in: folder)
      #expect(verified.status == 1 && verified.errors.contains("(normalization) [D12]"))
      #expect(entries(folder) == ["a.qmodel"])
    }
  }

  @Test("an unknown mode is wrong usage")
  func usage() throws {
    try withTemporaryFolder { folder in
      let outcome = try Tool.run(wrong + ["--preflight", "maybe"], in: folder)
      #expect(outcome.status == 64 && outcome.errors.contains("warn, strict, off"))
    }
  }

  @Test("calibration on noise is labelled in the file and in every report, and the same each time")
  func synthetic() throws {
    try withTemporaryFolder { folder in
      let flags = ["--int8", "--calibrate", "synthetic", "--preflight", "strict"] + Tool.preprocessing
      let report = try Tool.succeed([Tool.model, "a.qmodel", "--json"] + flags, in: folder).object()
      #expect((report["calibration"] as? String)?.contains("32 samples of synthetic noise, seed 1") == true)
      #expect(
        (report["warnings"] as? [String])?.contains { $0.contains("calibrated on synthetic noise") } == true
      )
      let inspected = try Tool.succeed(["inspect", "a.qmodel"], in: folder).output
      #expect(inspected.contains("calibrated on synthetic noise"))
      let verified = try Tool.succeed(
        ["verify", Tool.model, "a.qmodel", "--data", "\(Tool.digits)/test", "--max-drop", "1"],
        in: folder
      )
      #expect(verified.output.contains("The candidate was calibrated on synthetic noise"))
      try Tool.succeed([Tool.model, "b.qmodel", "--threads", "1"] + flags, in: folder)
      #expect(try readFile("\(folder)/a.qmodel") == readFile("\(folder)/b.qmodel"))
    }
  }

  @Test("what ranges clip on held-out samples is in the report")
  func saturation() throws {
    try withTemporaryFolder { folder in
      let flags =
        ["--int8", "--samples", "20", "--observer", "percentile", "--percentile", "99"] + Tool.calibration
      let report = try Tool.succeed([Tool.model, "a.qmodel", "--json"] + flags, in: folder).object()
      let saturation = try #require(report["saturation"] as? [String: Any])
      let layers = try #require(saturation["layers"] as? [[String: Any]])
      #expect(saturation["samples"] as? Int == 16 && layers.count >= 20)
      let mean = try #require(saturation["mean"] as? Double)
      #expect(mean > 0 && mean < 0.05)
      let text = try Tool.succeed([Tool.model, "a.qmodel"] + flags, in: folder).output
      #expect(text.contains("  clipped ") && text.contains("16 held-out samples; most in "))
      let all = try Tool.succeed([Tool.model, "a.qmodel", "--int8", "--json"] + Tool.calibration, in: folder)
      #expect(try all.object()["saturation"] == nil)
    }
  }
}
