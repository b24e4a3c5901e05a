import BinaryIO
import Datasets
import GraphIR
import QConvertKit
import QModelFormat
import Runtime
import TestSupport
import Testing

/// What int8 does to a transformer with massive activations, and what the preset wins back.
@Suite("Massive activations")
struct OutlierTransformerTests {
  private struct Outcome {
    /// `|found − wanted| / |wanted|` over all logits of 32 samples that calibration did not see.
    let error: Double
    let report: ConvertReport
    let inspection: InspectReport
  }

  private func outcome(magnitude: Float = 300, _ change: (inout ConvertOptions) -> Void) throws -> Outcome {
    try withTemporaryFolder { folder in
      let network = try OutlierTransformer(magnitude: magnitude)
      let model = "\(folder)/float.qmodel"
      try QModelWriter.write(network.graph, to: model)
      let samples = try OutlierTransformer.images(32, seed: 1)
      try NPZFile.write([(name: "image", tensor: samples)], to: "\(folder)/data.npz")
      var options = ConvertOptions()
      options.precision = .int8
      options.calibrationData = "\(folder)/data.npz"
      change(&options)
      let report = try Converter.convert(model, to: "\(folder)/int8.qmodel", options: options)
      let images = try OutlierTransformer.images(32, seed: 2)
      func logits(_ path: String) throws -> [Float] {
        let session = try Session(try QModelReader.read(path))
        return try #require(try session.run(["image": images])["logits"]).elements(as: Float.self)
      }
      let wanted = try logits(model)
      let found = try logits(report.output)
      let noise = zip(found, wanted).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
      let signal = wanted.reduce(0.0) { $0 + Double($1 * $1) }
      let error = (noise / signal).squareRoot()
      print("massive \(magnitude): \(report.scheme): relative error \(error * 100) %")
      return Outcome(error: error, report: report, inspection: try QConvert.inspect(report.output))
    }
  }

  @Test("one range per tensor collapses, and only because of the massive activations")
  func collapse() throws {
    let massive = try outcome { options in
      options.preset = .cnn
      options.isPerChannel = false
    }
    #expect(massive.error > 0.15)
    let tame = try outcome(magnitude: 1) { options in
      options.preset = .cnn
      options.isPerChannel = false
    }
    #expect(tame.error < 0.1 * massive.error)
  }

  @Test("one range per token, without data, leaves less than a tenth of the error")
  func dynamic() throws {
    let outcome = try outcome { $0.calibrationData = nil }
    #expect(outcome.error < 0.02)
    #expect(outcome.report.scheme == "int8 per-channel dynamic per-token")
  }

  @Test(
    "fixed ranges recover with smoothing and outlier columns, which the preset chooses and the file tells"
  )
  func fixed() throws {
    let outcome = try outcome { _ in }
    #expect(outcome.error < 0.005)
    #expect(outcome.report.scheme == "int8 per-channel static, smoothed, outlier columns in float")
    #expect(outcome.report.passes.map(\.name).contains("smooth-activations"))
    #expect(outcome.report.passes.map(\.name).contains("split-outlier-columns"))
    #expect(outcome.inspection.preset?.hasPrefix("transformer: ") == true)
    #expect(outcome.inspection.recovery?.contains("smooth-activations: ") == true)
    #expect(outcome.inspection.text.contains("split-outlier-columns: "))
    let plain = try self.outcome { options in
      options.smooths = false
      options.splitsOutliers = false
    }
    #expect(plain.error > 10 * outcome.error)
    #expect(plain.report.scheme == "int8 per-channel static")
    #expect(plain.inspection.recovery == nil)
  }

  @Test("ranges per token recover to half a percent with smoothing, too")
  func smoothedDynamic() throws {
    let outcome = try outcome { $0.isDynamic = true }
    #expect(outcome.error < 0.005)
    #expect(outcome.report.scheme == "int8 per-channel dynamic per-token, smoothed, outlier columns in float")
  }

  @Test("smoothing without samples is refused")
  func refused() throws {
    let refusal = #expect(throws: Refusal.self) {
      _ = try self.outcome { options in
        options.calibrationData = nil
        options.smooths = true
      }
    }
    #expect(refusal?.rule == "C4")
  }
}
