import ArgumentParser
import QConvertKit

/// Flags about which layers stay float.
struct TuningFlags: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Keep in float the operators whose node, result or weight has this name; * and ? match any letters. May be repeated.",
      valueName: "pattern"
    )
  )
  var keepFloat: [String] = []

  @Option(
    help: ArgumentHelp(
      "Measure what quantizing each layer alone costs, print a table and write it to this file.",
      valueName: "report.json"
    )
  )
  var sensitivity: String?

  @Option(
    help: ArgumentHelp(
      "Let layers fall back to float until at most so many points of top-1 are lost.",
      valueName: "points"
    )
  )
  var maxDrop: Double?

  @Option(
    help: ArgumentHelp(
      "Judge --max-drop on DATA, in place of what --calibrate leaves over of its own.",
      valueName: "data"
    )
  )
  var judge: String?

  /// - Throws: A validation error when flags contradict each other.
  func check(_ quantization: QuantizationFlags) throws {
    let tunes = sensitivity != nil || maxDrop != nil
    if tunes || !keepFloat.isEmpty, quantization.precision != .int8 {
      throw ValidationError("--keep-float, --sensitivity and --max-drop go with --int8")
    }
    if tunes, quantization.calibrate == nil, judge == nil {
      throw ValidationError("--sensitivity and --max-drop need --calibrate DATA or --judge DATA")
    }
    if judge != nil, !tunes { throw ValidationError("--judge goes with --sensitivity or --max-drop") }
    if let maxDrop, !(0...100).contains(maxDrop) {
      throw ValidationError("--max-drop takes points from 0 to 100, such as 0.3")
    }
  }

  func apply(to options: inout ConvertOptions) {
    options.keptFloat = keepFloat
    options.measuresSensitivity = sensitivity != nil
    options.maximumDrop = maxDrop
    options.judgeData = judge
    options.isInterrupted = { QConvert.isInterrupted }
  }

  /// Writes the report to the file that was asked for.
  func write(_ report: SensitivityReport?) throws {
    guard let sensitivity, let report else { return }
    try JSONFile.write(report, to: sensitivity)
  }
}
