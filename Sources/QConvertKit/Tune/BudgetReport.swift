internal import BinaryIO

/// How accuracy and size changed while layers fell back to float, and what was kept.
public struct BudgetReport: Codable, Hashable, Sendable {
  /// What a budget counts in points.
  public enum Measure: String, Codable, Sendable {
    /// Points of top-1 accuracy lost against the original; the data have labels.
    case top1 = "top-1 accuracy lost"
    /// Hundredths of the samples with another top-1 class than the original's: an upper bound of the accuracy lost.
    case disagreement = "predictions changed"
    /// Hundredths that the mean cosine of the outputs is below 1; the outputs are no class scores.
    case cosine = "cosine lost"
  }

  /// A network that was judged.
  public struct Point: Codable, Hashable, Sendable {
    /// Steps from int8 towards float: a layer takes one or two.
    public var steps: Int
    /// Layers that compute in float.
    public var floatLayers: Int
    /// Those of them whose weights are no longer int8 but f16.
    public var float16Layers: Int
    /// Bytes of the constants.
    public var constantBytes: Int
    /// Points lost.
    public var drop: Double
    /// Share of equal top-1 predictions; nil for outputs that are no class scores.
    public var top1Agreement: Double?
    public var sqnrDB: Double
    /// Whether it loses no more than the budget.
    public var holds: Bool

    /// The point in one line.
    public var text: String {
      "\(floatLayers) layers in float, \(float16Layers) with f16 weights: \(BudgetReport.number(drop)) points lost, "
        + "SQNR \(decimals(sqnrDB, 2)) dB, constants \(byteText(constantBytes))\(holds ? ", holds the budget" : "")"
    }

    enum CodingKeys: String, CodingKey {
      case drop, holds, steps
      case floatLayers = "float_layers"
      case float16Layers = "f16_layers"
      case constantBytes = "constant_bytes"
      case top1Agreement = "top1_agreement"
      case sqnrDB = "sqnr_db"
    }
  }

  /// A layer that fell back to float.
  public struct Layer: Codable, Hashable, Sendable {
    public var name: String
    /// How its weights are stored: `i8` or `f16`, the latter standing for f32 where they do not fit.
    public var weights: String
  }

  /// Points that may be lost.
  public var maximumDrop: Double
  public var measure = Measure.top1
  /// Samples judged by, none of which calibration saw.
  public var samples = 0
  public var data = ""
  /// Points that one sample is worth; nil where the measure is not a count.
  public var resolution: Double?
  /// In order of the steps taken.
  public var curve: [Point] = []
  /// The one that was written; nil: none was judged to the end.
  public var chosen: Point?
  /// The layers that fell back to float in the written network, in the order in which they did.
  public var floatLayers: [Layer] = []
  /// Layers that could fall back.
  public var layers = 0
  public var isInterrupted = false
  /// Whether the written network holds the budget.
  public var holds: Bool { chosen?.holds ?? false }

  enum CodingKeys: String, CodingKey {
    case measure, samples, data, resolution, curve, chosen, layers
    case maximumDrop = "max_drop"
    case floatLayers = "float_layers"
    case isInterrupted = "interrupted"
  }

  init(maximumDrop: Double) { self.maximumDrop = maximumDrop }

  /// What the written network costs, for its metadata.
  var finding: String {
    guard let chosen else { return "" }
    return
      "at most \(BudgetReport.number(maximumDrop)) points of \(measure.rawValue): \(chosen.holds ? "" : "not held, ")"
      + "\(BudgetReport.number(chosen.drop)) on \(samples) samples held out, \(layerText(chosen))"
  }

  /// What was kept and what it costs, in one line.
  public var verdict: String {
    let asked = "at most \(BudgetReport.number(maximumDrop)) points of \(measure.rawValue)"
    guard let chosen else { return "\(asked) asked, interrupted before anything was judged" }
    guard !chosen.holds || isInterrupted else { return finding }
    let why = isInterrupted ? "interrupted" : "not reached with all layers in float"
    return
      "\(asked): \(why), the best so far loses \(BudgetReport.number(chosen.drop)) on \(samples) samples held out, "
      + layerText(chosen)
  }

  /// Such as `3 of 50 layers in float, 1 of them with f16 weights`.
  private func layerText(_ point: Point) -> String {
    "\(point.floatLayers) of \(layers) layers in float"
      + (point.float16Layers > 0 ? ", \(point.float16Layers) of them with f16 weights" : "")
  }

  /// The curve for people.
  public var text: String {
    let unit = resolution.map { ", one of them is \(BudgetReport.number($0)) points" } ?? ""
    var lines = ["Budget: \(verdict)", "  judged by \(data), calibration excluded\(unit)"]
    if let resolution, maximumDrop > 0, maximumDrop < resolution {
      lines.append("  the budget is finer than these samples can tell; it means none may be lost")
    }
    let header = ["in float", "f16 weights", "constants", "points", "agreement", "SQNR dB", ""]
    let rows = curve.map { point in
      [
        "\(point.floatLayers)", "\(point.float16Layers)", byteText(point.constantBytes),
        BudgetReport.number(point.drop),
        point.top1Agreement.map { "\(decimals(100 * $0, 2)) %" } ?? "-", decimals(point.sqnrDB, 2),
        (point.holds ? "holds" : "") + (point == chosen ? " <- written" : ""),
      ]
    }
    if !rows.isEmpty { lines.append(table([header] + rows, indent: 2, right: [0, 1, 2, 3, 4, 5])) }
    return lines.joined(separator: "\n")
  }

  /// Up to four decimals, without zeros at the end.
  fileprivate static func number(_ value: Double) -> String {
    guard value.isFinite else { return "infinitely many" }
    var text = decimals(value, 4)
    while text.hasSuffix("0"), text.contains(".") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return text == "-0" ? "0" : text
  }
}
