import Datasets
import Glibc
import GraphIR
import TestSupport
import Testing

@testable import QConvertKit

/// Networks that exporters wrote, with random weights; passes with a word where they are absent.
@Suite struct SeedModelTests {
  @Test("MobileNetV3-small keeps 20 dB in static int8, calibrated on normal noise like what it is run on")
  func mobileNetV3() throws {
    guard let seeds = unsafe getenv("QCONVERT_SEEDS").map({ unsafe String(cString: $0) }) else {
      print("skipped: QCONVERT_SEEDS names no folder of exported models")
      return
    }
    try withTemporaryFolder { folder in
      for (name, seed, count) in [("calibration", UInt64(1), 24), ("test", 2, 12)] {
        let noise = try Noise.tensor(.float32, [count, 3, 224, 224], seed: seed)
        try NPZFile.write([(name: "input", tensor: noise)], to: "\(folder)/\(name).npz")
      }
      let model = "\(seeds)/mobilenet_v3_small.onnx"
      var options = ConvertOptions()
      options.precision = .int8
      options.calibrationData = folder + "/calibration.npz"
      let report = try Converter.convert(model, to: folder + "/int8.qmodel", options: options)
      #expect(report.floatOps == 0)
      var data = QConvert.VerifyData()
      data.path = folder + "/test.npz"
      #expect(try QConvert.verify(model, folder + "/int8.qmodel", data: data).sqnrDB >= 20)
    }
  }
}
