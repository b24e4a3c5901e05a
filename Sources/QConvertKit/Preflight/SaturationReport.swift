internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Passes
internal import Quantization
internal import Runtime

/// How much the ranges of activations clip on samples that were not calibrated on.
public struct SaturationReport: Codable, Hashable, Sendable {
  /// One quantized activation.
  public struct Layer: Codable, Hashable, Sendable {
    public var name: String
    /// Share of the values that the range cuts off, 0...1.
    public var share: Double
  }

  /// Samples looked at, at most.
  static let sampleLimit = 16
  /// Activations named in text.
  private static let named = 3

  public var samples: Int
  /// Of the layers' shares.
  public var mean: Double
  /// In order of execution.
  public var layers: [Layer]

  /// One line for people.
  var text: String {
    let worst = layers.sorted { $0.share > $1.share }.prefix(SaturationReport.named).filter { $0.share > 0 }
    let list = worst.map { "\(shortened($0.name, 40)) \(decimals(100 * $0.share, 3)) %" }.joined(
      separator: ", "
    )
    return "\(decimals(100 * mean, 4)) % of the values of \(samples) held-out samples"
      + (list.isEmpty ? "" : "; most in \(list)")
  }

  /// Runs the float network and counts what lies outside of the ranges.
  ///
  /// - Parameters:
  ///   - graph: The float network that was calibrated.
  ///   - ranges: Of its values.
  ///   - dataset: Samples that were held out.
  ///   - threads: Nil: all processors.
  /// - Throws: A refusal when a sample cannot be read.
  static func measured(
    _ graph: Graph,
    _ ranges: ActivationRanges,
    on dataset: Dataset,
    threads: Int?
  ) throws(Refusal) -> SaturationReport {
    let targets = QuantizationTargets.activationValues(graph)
    var counts: [ValueID: ClippedCount] = [:]
    for target in targets {
      guard let entry = ranges[graph[target].name] else { continue }
      counts[target] = try ClippedCount(entry.range)
    }
    let session = try Session(graph, options: QConvert.sessionOptions(threads: threads))
    for index in 0..<dataset.count {
      let inputs = try dataset.sample(index).inputs
      _ = try session.run(inputs, observing: targets) { (id, tensor) throws(Refusal) in
        unsafe tensor.withElements(as: Float.self) { counts[id]?.add(unsafe Span(_unsafeElements: $0)) }
      }
    }
    let layers = targets.compactMap { id in counts[id].map { Layer(name: graph[id].name, share: $0.share) } }
    let mean = layers.reduce(0) { $0 + $1.share } / Double(max(layers.count, 1))
    return SaturationReport(samples: dataset.count, mean: mean, layers: layers)
  }
}

/// Counts values that 8 bits cannot tell from the end of a range.
struct ClippedCount {
  private let low: Float
  private let high: Float
  private var clipped = 0
  private var count = 0

  /// - Throws: A refusal when the range has no scale.
  init(_ range: ClosedRange<Float>) throws(Refusal) {
    let params = try QuantParams.uint8(covering: range)
    low = params.dequantize(0) - params.scale / 2
    high = params.dequantize(255) + params.scale / 2
  }

  var share: Double { count > 0 ? Double(clipped) / Double(count) : 0 }

  mutating func add(_ values: Span<Float>) {
    count += values.count
    var outside = 0
    for index in values.indices where values[index] < low || values[index] > high { outside += 1 }
    clipped += outside
  }
}
