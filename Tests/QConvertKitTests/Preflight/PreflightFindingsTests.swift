import BinaryIO
import Datasets
import GraphIR
import TestSupport
import Testing

@testable import QConvertKit

@Suite struct PreflightFindingsTests {
  private let type = TensorType(.float32, [.symbol("n"), .known(3), .known(8), .known(8)])

  /// Evidence of 100 pictures with values from `low` to `high`.
  private func evidence(_ low: Float = -1, _ high: Float = 1, samples: Int = 100) -> PreflightEvidence {
    var statistics = SampleStatistics(type)
    let step = (high - low) / 63
    let values = (0..<192).map { index -> Float in low + step * Float(index % 64) }
    for _ in 0..<samples {
      _ = statistics.add(values, shape: [1, 3, 8, 8])
    }
    var result = PreflightEvidence(samples: samples, statistics: statistics)
    result.source = InputTransform(channels: 3)
    return result
  }

  private func layer(
    _ given: Double,
    best: Double = 0.01,
    scale: Double = 1,
    exchanged: (other: Double, error: Double)? = nil,
    _ hypotheses: [(String, Double)] = []
  ) -> PreflightEvidence.Layer {
    PreflightEvidence.Layer(
      place: "node \"bn\" (batch_norm)",
      given: given,
      best: (InputTransform(channels: 3, scale: scale, shift: -1), best),
      hypotheses: hypotheses.map { .init(flags: $0, distance: $1) },
      exchange: exchanged.map { .init(distance: 0.03, given: 0.2, other: $0.other, error: $0.error) }
    )
  }

  private func causes(_ evidence: PreflightEvidence) -> [String] {
    evidence.findings.map { "\($0.certainty.rawValue) \($0.cause.rawValue)" }
  }

  @Test("samples that fit have no findings")
  func fitting() {
    var right = evidence()
    #expect(right.findings.isEmpty)
    right.layer = layer(0.14)
    #expect(right.findings.isEmpty)
  }

  @Test("values far from the training are refused with the scale and the flags that mend them")
  func scales() {
    var wrong = evidence(0, 255)
    wrong.layer = layer(9000, scale: 1 / 128.0, [("--mean 127 --std 128", 0.02), ("--scale 255", 0.4)])
    #expect(causes(wrong) == ["certain too-large"])
    #expect(wrong.findings[0].remedy == "give --mean 127 --std 128")
    #expect(wrong.findings[0].problem.contains("about 128 times the scale"))
    wrong.isPreprocessed = false
    #expect(
      wrong.findings[0].remedy == "let the arrays hold what --mean 127 --std 128 makes of pixels 0...255"
    )
    var small = evidence()
    small.layer = layer(4, scale: 128)
    #expect(causes(small) == ["certain too-small"])
    #expect(small.findings[0].problem.contains("normalised already"))
  }

  @Test("a normalisation of no name is told by the numbers that fit")
  func unnamed() {
    var wrong = evidence(0, 1)
    wrong.source = InputTransform(channels: 3, scale: 1 / 255.0)
    wrong.layer = layer(0.6, best: 0.001, scale: 4, [("--preprocess imagenet", 0.4)])
    #expect(causes(wrong) == ["certain normalization"])
    #expect(wrong.findings[0].remedy == "give --scale 255 --mean 0.25 --std 0.25")
    wrong.isPreprocessed = false
    #expect(wrong.findings[0].remedy == "multiply the arrays by 4 and add -1")
  }

  @Test("what may be another kind of images is not refused")
  func doubtful() {
    var other = evidence()
    other.layer = layer(0.6, best: 0.5)
    #expect(causes(other) == ["likely unlike-training"])
    other.layer = layer(0.6, best: 0.2)
    #expect(causes(other) == ["likely normalization"])
    other.layer = layer(0.2, best: 0.01)
    #expect(causes(other) == ["likely normalization"])
    var single = evidence(samples: 1)
    single.layer = layer(0.9)
    #expect(causes(single) == ["likely too-few"])
  }

  @Test("channels are told where the other order is nearer by more than chance")
  func channelOrder() {
    var swapped = evidence()
    swapped.layer = layer(0.05, exchanged: (0.15, 0.01))
    #expect(causes(swapped) == ["likely channel-order"])
    #expect(swapped.findings[0].remedy == "give --channels bgr")
    swapped.source?.order = [2, 1, 0]
    #expect(swapped.findings[0].remedy == "give --channels rgb")
    swapped.layer = layer(0.05, exchanged: (0.15, 0.02))
    #expect(swapped.findings.isEmpty)
  }

  @Test("noise, constants and NaN are certain when most samples are such, and come first")
  func broken() {
    var statistics = SampleStatistics(type)
    for _ in 0..<10 { _ = statistics.add([Float](repeating: 2, count: 192), shape: [1, 3, 8, 8]) }
    var constant = PreflightEvidence(samples: 10, statistics: statistics)
    constant.layer = layer(9000)
    #expect(causes(constant) == ["certain constant"])
    constant.isMeasured = false
    #expect(constant.findings.isEmpty)
    var random = SplitMix64(seed: 2)
    var noise = SampleStatistics(TensorType(.float32, [.known(1), .known(1), .known(32), .known(32)]))
    for index in 0..<10 {
      let values = (0..<1024).map { index < 8 ? random.normal() : Float($0 % 32) }
      _ = noise.add(values, shape: [1, 1, 32, 32])
    }
    #expect(causes(PreflightEvidence(samples: 10, statistics: noise)) == ["certain noise"])
    #expect(causes(PreflightEvidence(samples: 40, statistics: noise)) == ["likely noise"])
  }

  @Test("repeated samples are told, and refused when there is no other")
  func duplicates() {
    var repeated = evidence()
    repeated.duplicates = 4
    #expect(repeated.findings.isEmpty)
    repeated.duplicates = 50
    #expect(causes(repeated) == ["likely duplicates"])
    repeated.duplicates = 99
    #expect(causes(repeated) == ["certain duplicates"])
  }

  @Test("few samples are told for calibration only")
  func few() {
    var few = evidence(samples: 4)
    #expect(causes(few) == ["likely too-few"])
    few.isCalibration = false
    #expect(few.findings.isEmpty)
  }

  @Test("without statistics of the training nothing about sizes is certain")
  func unproven() {
    var pixels = evidence(0, 255)
    #expect(causes(pixels) == ["likely too-large"])
    pixels.front = InputTransform(channels: 3, scale: 1 / 255.0)
    #expect(pixels.findings.isEmpty)
    var small = evidence()
    small.front = InputTransform(channels: 3, scale: 1 / 255.0)
    #expect(causes(small) == ["likely too-small"])
    var other = evidence()
    other.betterPredictions = ("--scale 255", 2.5)
    #expect(causes(other) == ["likely normalization"] && other.findings[0].remedy == "give --scale 255")
  }

  @Test("another preprocessing than the declared one is told unless the training says otherwise")
  func declaration() {
    var other = evidence()
    other.otherDeclaration = "--preprocess imagenet"
    #expect(causes(other) == ["likely declaration"])
    other.layer = layer(0.01)
    #expect(other.findings.isEmpty)
  }

  @Test("the first certain finding is the refusal, in one line")
  func refusal() throws {
    var wrong = evidence(0, 255)
    wrong.layer = layer(9000, scale: 1 / 128.0, [("--mean 127 --std 128", 0.02)])
    let report = PreflightReport(samples: 100, channels: [], hypotheses: [], findings: wrong.findings)
    let refusal = try #require(report.refusal(of: "calibration data"))
    #expect(refusal.rule == "D12" && refusal.remedy == "give --mean 127 --std 128, or use --preflight warn")
    #expect(!refusal.description.contains("\n") && report.warnings[0].hasPrefix("preflight, certain: "))
    #expect(
      PreflightReport(samples: 1, channels: [], hypotheses: [], findings: []).refusal(of: "data") == nil
    )
  }

  @Test("flags are those that ask for a preprocessing")
  func flags() throws {
    func flags(_ text: String) throws -> String { NamedPreprocessing(try Preprocessing.parse(text)).flags }
    #expect(
      try flags("resize=256 crop=224 scale=255 mean=0.3 std=0.35") == "--scale 255 --mean 0.3 --std 0.35"
    )
    #expect(try flags("mean=127 std=128 channels=bgr") == "--mean 127 --std 128 --channels bgr")
    #expect(try flags("") == "--scale 1")
  }

  @Test("predictions tell as much as they differ and are sure")
  func information() {
    let sure = (0..<4).map { sample in (0..<4).map { $0 == sample ? 100.0 : 0 } }
    #expect(abs(PredictionProbe.information(sure) - 1.386_294_361) < 1e-6)
    #expect(PredictionProbe.information([[1, 2, 3], [1, 2, 3]]) < 1e-12)
    #expect(PredictionProbe.information([[.nan, 1], [1, 0]]) == 0)
  }

  @Test("transforms compose, and lead from one preprocessing to another")
  func transforms() throws {
    let imagenet = InputTransform(.imagenet, channels: 3)
    let other = InputTransform(try Preprocessing.parse("mean=127 std=128 channels=bgr"), channels: 3)
    let change = imagenet.following(other)
    let found = change.after(other)
    #expect(found.order == imagenet.order)
    for channel in 0..<3 {
      #expect(abs(found.scale[channel] - imagenet.scale[channel]) < 1e-9)
      #expect(abs(found.shift[channel] - imagenet.shift[channel]) < 1e-9)
    }
  }
}
