internal import BinaryIO
internal import Passes

/// What quantizing each layer alone costs, the most sensitive first; written by `--sensitivity`.
public struct SensitivityReport: Codable, Hashable, Sendable {
  /// A weight with the operators that use it.
  public struct Layer: Codable, Hashable, Sendable {
    /// 1 for the most sensitive.
    public var rank = 0
    /// The value that the layer makes, as `--keep-float` takes it.
    public var name: String
    /// The node's own name, which may be empty.
    public var node: String
    /// Kind of operator, such as `conv`.
    public var op: String
    /// Name of the weight.
    public var weight: String
    /// Elements of the weight.
    public var weights: Int
    /// Signal-to-noise ratio of the outputs with only this layer quantized.
    public var sqnrDB: Double
    /// The same with only what the layer reads quantized; nil for recurrent layers, whose state is not without their weights.
    public var activationsSQNRDB: Double?
    /// The same with only the layer's weights quantized.
    public var weightsSQNRDB: Double
    /// Mean Kullback-Leibler divergence of the softmax of the scores, in nats; nil: the first output holds no scores.
    public var kl: Double?
    /// Share of samples with the float network's top-1 class; nil as ``kl``.
    public var top1Agreement: Double?

    enum CodingKeys: String, CodingKey {
      case rank, name, node, op, weight, weights, kl
      case sqnrDB = "sqnr_db"
      case activationsSQNRDB = "activations_sqnr_db"
      case weightsSQNRDB = "weights_sqnr_db"
      case top1Agreement = "top1_agreement"
    }
  }

  /// The version of these keys.
  public var format = "qconvert-sensitivity-2"
  /// How a layer was measured.
  public var method = "this layer alone quantized, all others float"
  /// The quantization scheme, such as `int8 per-channel static`.
  public var scheme: String
  /// Samples measured on.
  public var samples = 0
  /// The samples, for people.
  public var data = ""
  /// The most sensitive first.
  public var layers: [Layer] = []

  init(scheme: String) { self.scheme = scheme }

  /// The table for people, with at most so many layers.
  public func text(limit: Int = 20) -> String {
    let header = ["layer", "op", "weights", "SQNR dB", "input only", "weights only", "KL", "agreement"]
    let rows = layers.prefix(limit).map { row in
      [
        Refusal.printable(row.name, limit: 40), row.op, grouped(row.weights), decimals(row.sqnrDB, 2),
        row.activationsSQNRDB.map { decimals($0, 2) } ?? "-", decimals(row.weightsSQNRDB, 2),
        row.kl.map { scientific($0) } ?? "-",
        row.top1Agreement.map { "\(decimals(100 * $0, 2)) %" } ?? "-",
      ]
    }
    let more = layers.count > limit ? "\n  and \(layers.count - limit) less sensitive ones" : ""
    return "Sensitivity of \(layers.count) layers, on \(samples) samples: \(method)\n"
      + table([header] + rows, indent: 2, right: [2, 3, 4, 5, 6, 7]) + more
  }
}

extension SensitivityReport.Layer {
  /// - Parameters:
  ///   - whole: The outputs with the layer quantized.
  ///   - activations: With only what it reads quantized, if that can be.
  ///   - weights: With only its weights quantized.
  init(
    _ layer: QuantizableLayer,
    whole: OutputComparison,
    activations: OutputComparison?,
    weights: OutputComparison
  ) {
    name = layer.name
    node = layer.nodeName
    op = layer.op
    weight = layer.weightName
    self.weights = layer.weights
    sqnrDB = whole.total.decibels
    activationsSQNRDB = activations?.total.decibels
    weightsSQNRDB = weights.total.decibels
    kl = whole.meanDivergence
    let tally = whole.tally
    top1Agreement = tally.samples > 0 ? Double(tally.agreeing) / Double(tally.samples) : nil
  }
}

/// A number with two digits after the point and a power of ten, such as `1.25e-3`.
func scientific(_ value: Double) -> String {
  guard value.isFinite, value != 0 else { return decimals(value, 0) }
  var (mantissa, exponent) = (abs(value), 0)
  while mantissa >= 9.995 { (mantissa, exponent) = (mantissa / 10, exponent + 1) }
  while mantissa < 0.9995 { (mantissa, exponent) = (mantissa * 10, exponent - 1) }
  return "\(value < 0 ? "-" : "")\(decimals(mantissa, 2))e\(exponent)"
}
