import BinaryIO
import QConvertKit
import TestSupport
import Testing

@Suite struct MeanCorrectionTests {
  /// The passes that changed the digits network, and the SQNR of its logits on the test images.
  private func convert(_ change: (inout ConvertOptions) -> Void) throws -> (passes: [String], sqnr: Double) {
    var options = Digits.options
    options.isPerChannel = false
    options.calibrationSamples = 20
    change(&options)
    return try withTemporaryFolder { folder in
      let output = "\(folder)/net.qmodel"
      let report = try Converter.convert(Digits.model, to: output, options: options)
      var data = QConvert.VerifyData()
      data.path = "\(Digits.folder)/test"
      data.samples = 100
      let verified = try QConvert.verify(Digits.model, output, data: data)
      return (report.passes.filter { $0.changes > 0 }.map(\.name), verified.sqnrDB)
    }
  }

  @Test("biases are corrected by the means that calibration saw, unless that is turned off")
  func calibrated() throws {
    let (passes, sqnr) = try convert { _ in }
    let (plain, without) = try convert { $0.correctsMeans = false }
    #expect(passes.contains("correct-bias") && !plain.contains("correct-bias"))
    #expect(sqnr > without)
  }

  @Test(
    "without data, and with noise for data, BatchNorm's statistics tell the means",
    arguments: [nil, "synthetic"] as [String?]
  )
  func dataFree(data: String?) throws {
    let (passes, sqnr) = try convert {
      $0.calibrationData = data
      $0.calibrationSamples = nil
    }
    let (plain, without) = try convert {
      $0.calibrationData = data
      $0.calibrationSamples = nil
      $0.correctsMeans = false
    }
    #expect(passes.contains("correct-bias-from-statistics") && !passes.contains("correct-bias"))
    #expect(!plain.contains("correct-bias-from-statistics"))
    #expect(sqnr > without - 0.5)
  }

  @Test("a disabled quantize-bias takes the correction with it")
  func disabled() throws {
    let (passes, _) = try convert { $0.disabledPasses = ["quantize-bias"] }
    #expect(!passes.contains("correct-bias"))
  }
}
