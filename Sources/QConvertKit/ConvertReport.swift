internal import BinaryIO
internal import GraphIR
internal import Passes
internal import Runtime

/// What a conversion did, in figures; encoded by `--json`.
public struct ConvertReport: Codable, Sendable {
  /// A pass that changed the network.
  public struct PassSummary: Codable, Sendable {
    public var name: String
    /// Runs that changed something.
    public var changes: Int
    public var seconds: Double
  }

  public var input: String
  public var output: String
  /// The quantization scheme, such as `int8 per-channel static`.
  public var scheme: String
  /// Size of the written file.
  public var fileBytes: Int
  /// What the weights would take as 32-bit floats.
  public var fp32Bytes: Int
  public var passes: [PassSummary]
  /// Linear operators (convolutions, matrix products) that run in integers.
  public var quantizedOps: Int
  /// Linear operators that run in floats.
  public var floatOps: Int
  public var calibration: String?
  /// What a look at the calibration data found; nil without one.
  public var preflight: PreflightReport?
  /// What the chosen ranges clip; nil unless samples were held out.
  public var saturation: SaturationReport?
  /// Operators kept in float on request or for the budget, and how their weights are stored.
  public var keptFloat: String?
  /// What quantizing each layer alone costs, if that was measured.
  public var sensitivity: SensitivityReport?
  /// What a search under a budget found.
  public var budget: BudgetReport?
  public var seconds: Double
  /// Largest resident set of this process so far.
  public var peakRSSBytes: Int
  /// What the user should know about the result.
  public var warnings: [String]
  /// What could be done better.
  public var hints: [String]

  enum CodingKeys: String, CodingKey {
    case input, output, scheme, passes, calibration, preflight, saturation, sensitivity, budget, seconds,
      warnings, hints
    case keptFloat = "kept_float"
    case fileBytes = "file_bytes"
    case fp32Bytes = "fp32_bytes"
    case quantizedOps = "quantized_ops"
    case floatOps = "float_ops"
    case peakRSSBytes = "peak_rss_bytes"
  }

  /// The report for people.
  public var text: String {
    let ratio = fileBytes > 0 ? Double(fp32Bytes) / Double(fileBytes) : 0
    var lines = [
      "\(output): \(scheme), \(byteText(fileBytes))",
      "  weights as fp32  \(byteText(fp32Bytes)), \(decimals(ratio, 2))x the file",
      "  linear operators \(quantizedOps) in int8, \(floatOps) in float",
    ]
    if let calibration { lines.append("  calibration      \(calibration)") }
    if let saturation { lines.append("  clipped          \(saturation.text)") }
    if let keptFloat { lines.append("  kept in float    \(Refusal.printable(keptFloat, limit: 400))") }
    lines.append("  passes           \(passes.map(\.name).joined(separator: ", "))")
    lines.append(
      "  took             \(decimals(seconds, 2)) s, at most \(byteText(peakRSSBytes)) resident"
    )
    if let sensitivity { lines.append("\n" + sensitivity.text()) }
    if let budget { lines.append("\n" + budget.text) }
    return lines.joined(separator: "\n")
  }
}

extension ConvertReport {
  /// Puts together what the steps of a conversion found.
  init(
    _ rewriting: Rewriting,
    _ tuning: Tuning,
    input: String,
    output: String,
    inspection: InspectReport,
    seconds: Double
  ) {
    let options = rewriting.options
    self.input = input
    self.output = output
    scheme = tuning.result.graph.metadata[MetadataKey.scheme] ?? options.schemeText(rewriting.preset)
    fileBytes = inspection.fileBytes
    fp32Bytes = inspection.fp32Bytes
    passes = ConvertReport.summaries(tuning.result.records)
    quantizedOps = inspection.quantizedOps
    floatOps = inspection.floatOps
    calibration = rewriting.calibration
    keptFloat = tuning.result.graph.metadata[MetadataKey.keptFloat]
    sensitivity = tuning.sensitivity
    budget = tuning.budget
    self.seconds = seconds
    peakRSSBytes = Process.peakResidentBytes
    warnings = tuning.result.remarks.filter { $0.kind == .warning }.map { "\($0.place): \($0.text)" }
    if SyntheticNoise.isNamed(in: rewriting.calibration) { warnings.append(SyntheticNoise.warning) }
    preflight = rewriting.preflight
    saturation = rewriting.saturation
    hints = rewriting.preset == .transformer ? [] : ConvertReport.hints(options)
  }

  private static func summaries(_ records: [PassManager.Record]) -> [PassSummary] {
    var result: [PassSummary] = []
    for record in records where record.changes > 0 {
      let seconds = record.duration / .seconds(1)
      if let index = result.firstIndex(where: { $0.name == record.pass }) {
        result[index].changes += record.changes
        result[index].seconds += seconds
      } else {
        result.append(PassSummary(name: record.pass, changes: record.changes, seconds: seconds))
      }
    }
    return result
  }

  private static func hints(_ options: ConvertOptions) -> [String] {
    guard options.precision == .int8, options.activations == .dynamic else { return [] }
    return [
      "activations are quantized while the network runs; with --calibrate DATA (100 samples will do) they get fixed "
        + "ranges, residual additions and pooling stay in int8, and the network runs faster"
    ]
  }
}
