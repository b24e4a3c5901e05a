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

  @Test("one range per token leaves less than a tenth of the error")
  func dynamic() throws {
    let outcome = try outcome { options in
      options.calibrationData = nil
      (options.smooths, options.splitsOutliers) = (false, false)
    }
    #expect(outcome.error < 0.02)
    #expect(outcome.report.scheme == "int8 per-channel dynamic per-token")
    #expect(outcome.inspection.recovery == nil)
  }

  @Test("without data, noise shows the loud channels well enough to recover to half a percent")
  func dataFree() throws {
    let outcome = try outcome { $0.calibrationData = nil }
    #expect(outcome.error < 0.005)
    #expect(outcome.report.scheme == "int8 per-channel dynamic per-token, smoothed, outlier columns in float")
    #expect(outcome.report.calibration == nil)
    #expect(outcome.inspection.recovery?.hasSuffix(", on synthetic noise") == true)
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

  @Test("ranges for the loud tokens gain, though the loud channel stays in the range of the others")
  func tokenGroups() throws {
    let outcomes = try [false, true].map { isSplit in
      try outcome { options in
        options.smooths = false
        options.splitsOutliers = false
        options.splitsTokens = isSplit
      }
    }
    #expect(outcomes[1].error < 0.9 * outcomes[0].error)
    #expect(outcomes[1].report.scheme == "int8 per-channel static, token groups")
    #expect(outcomes[1].inspection.recovery?.hasPrefix("split-token-groups: ") == true)
  }

  @Test("ranges per token recover to half a percent with smoothing, too")
  func smoothedDynamic() throws {
    let outcome = try outcome { $0.isDynamic = true }
    #expect(outcome.error < 0.005)
    #expect(outcome.report.scheme == "int8 per-channel dynamic per-token, smoothed, outlier columns in float")
  }

  @Test("smoothing by statistics of the network as it was is refused")
  func refused() throws {
    try withTemporaryFolder { folder in
      let model = "\(folder)/float.qmodel"
      try QModelWriter.write(try OutlierTransformer(magnitude: 300).graph, to: model)
      let samples = try OutlierTransformer.images(4, seed: 1)
      try NPZFile.write([(name: "image", tensor: samples)], to: "\(folder)/data.npz")
      var options = ConvertOptions()
      options.precision = .int8
      options.calibrationData = "\(folder)/data.npz"
      let statistics = try Converter.calibrate(model, options: options)
      options.calibrationData = nil
      options.calibration = statistics
      let plain = try Converter.convert(model, to: "\(folder)/int8.qmodel", options: options)
      #expect(plain.scheme == "int8 per-channel static")
      options.smooths = true
      expectRefusal(rule: "C4", containing: "not statistics") {
        _ = try Converter.convert(model, to: "\(folder)/int8.qmodel", options: options)
      }
    }
  }

  @Test("a transformer whose inputs cannot be made up is converted without, and says so")
  func unknown() throws {
    try withTemporaryFolder { folder in
      var network = try OutlierTransformer(magnitude: 300).graph
      let flag = network.addInput("flag", TensorType(.bool, [1]))
      let cast = try network.addNode(.cast(Cast(to: .float32)), inputs: [flag], outputNames: ["flag.f32"])
      network.addOutput(network[cast].outputs[0])
      let model = "\(folder)/float.qmodel"
      try QModelWriter.write(network, to: model)
      var options = ConvertOptions()
      options.precision = .int8
      var texts: [String] = []
      let report = try Converter.convert(model, to: "\(folder)/int8.qmodel", options: options) { event in
        if case .text(let text) = event { texts.append(text) }
      }
      #expect(report.scheme == "int8 per-channel dynamic per-token")
      #expect(texts.contains { $0.hasPrefix("warning: neither smoothing nor outlier columns") })
      options.smooths = true
      expectRefusal(rule: "D10") {
        _ = try Converter.convert(model, to: "\(folder)/int8.qmodel", options: options)
      }
    }
  }
}
