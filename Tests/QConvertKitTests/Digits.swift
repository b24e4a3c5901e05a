import QConvertKit
import TestSupport

/// The sample network and its images.
enum Digits {
  static let folder = "\(packageFolder())/samples/digits"
  static let model = folder + "/digits.onnx"

  /// Static int8, calibrated on the images that are for it.
  static var options: ConvertOptions {
    var options = ConvertOptions()
    options.precision = .int8
    options.calibrationData = folder + "/calibration"
    options.preprocessing = "resize=32 scale=255 mean=0.3 std=0.35"
    return options
  }
}
