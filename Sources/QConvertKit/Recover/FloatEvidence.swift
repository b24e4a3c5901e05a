internal import BinaryIO
internal import GraphIR
internal import Passes
internal import Quantization
internal import Runtime

/// What the layers of a float network read on samples.
struct FloatEvidence {
  /// A value, and the range beyond which its elements count as the end of the range.
  struct Read: Hashable {
    let value: ValueID
    let range: ClosedRange<Float>
  }

  /// Means of the channels of what layers read.
  private(set) var means: [Read: [Double]] = [:]

  /// Runs the float network once.
  ///
  /// What lies outside of the range that the quantized network has for a value counts as the end of the range, so that biases do not
  /// make up for what the range cuts off.
  init(
    _ layers: [LayerUnderRepair],
    _ graph: Graph,
    _ samples: [[String: Tensor]],
    threads: Int?
  ) throws(Refusal) {
    let session = try Session(graph, options: QConvert.sessionOptions(threads: threads))
    let readers = Dictionary(layers.map { ($0.floatRead, $0) }, uniquingKeysWith: { first, _ in first })
    let reads = Dictionary(grouping: readers.keys, by: \.value)
    let observed = reads.keys.sorted { $0.index < $1.index }
    var sums: [Read: [Double]] = [:]
    func read(_ id: ValueID, _ tensor: Tensor) {
      for read in reads[id] ?? [] {
        guard let layer = readers[read] else { continue }
        let own = ChannelSums.means(of: tensor, isLast: layer.hasChannelsLast, within: read.range)
        sums[read] = sums[read].map { zip($0, own).map { $0 + $1 } } ?? own
      }
    }
    for sample in samples {
      for id in observed where graph.inputs.contains(id) {
        if let tensor = sample[graph[id].name] { read(id, tensor) }
      }
      let inner = observed.filter { !graph.inputs.contains($0) }
      _ = try session.run(sample, observing: inner) { (id, tensor) throws(Refusal) in read(id, tensor) }
    }
    means = sums.mapValues { $0.map { $0 / Double(max(samples.count, 1)) } }
  }
}
