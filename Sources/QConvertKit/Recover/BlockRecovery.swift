internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Passes
internal import Quantization
internal import Runtime

/// Rounds weights in blocks anew, from calibration data.
///
/// A stage is some layers that follow each other. The network runs up to them, the layers before already rounded; the pass then
/// rounds those of the stage. Memory is that of the samples, at most 128 of them, and of one stage's moments.
struct BlockRecovery {
  /// The float network that was quantized.
  let float: Graph
  let threads: Int?

  /// Stages, at most, unless the moments of one would take too much memory.
  private static let stageLimit = 16
  /// Bytes of one stage's moments, more or less.
  private static let byteLimit = 256 << 20
  /// Longest row whose moments are kept.
  private static let lengthLimit = 8192
  /// Rows taken of one value.
  private static let rowLimit = 4096

  /// Rounds the layers of a network.
  ///
  /// - Parameters:
  ///   - graph: The quantized form of ``float``, its nodes having kept their ids.
  ///   - context: Collects remarks.
  ///   - dataset: The samples.
  ///   - apply: Runs the recovery passes on the graph.
  ///   - progress: Called with the layers done and of all.
  func run(
    on graph: inout Graph,
    _ context: inout PassContext,
    _ dataset: Dataset,
    apply: (inout Graph, inout PassContext) throws(Refusal) -> Void,
    progress: (Int, Int) -> Void
  ) throws(Refusal) {
    let samples = try Recovery.samples(of: dataset)
    let layers = graph.order.filter { id in
      guard let evidence = BlockEvidence(graph, id, from: float) else { return false }
      return evidence.moments.length <= BlockRecovery.lengthLimit
    }
    var done = 0
    for stage in stages(layers, graph) {
      context.blockEvidence = try evidence(stage, graph, samples)
      try apply(&graph, &context)
      context.blockEvidence = [:]
      done += stage.count
      progress(done, layers.count)
    }
  }

  /// Layers that read the same value are in one stage.
  private func stages(_ layers: [NodeID], _ graph: Graph) -> [[NodeID]] {
    let least = max(1, (layers.count + BlockRecovery.stageLimit - 1) / BlockRecovery.stageLimit)
    var result: [[NodeID]] = []
    var (bytes, last) = (0, ValueID?.none)
    for id in layers {
      guard let evidence = BlockEvidence(graph, id, from: float) else { continue }
      let isFull = (result.last?.count ?? least) >= least || bytes > BlockRecovery.byteLimit
      if isFull && evidence.data != last {
        result.append([])
        bytes = 0
      }
      result[result.count - 1].append(id)
      if evidence.data != last { bytes += SecondMoments.bytes(length: evidence.moments.length) }
      last = evidence.data
    }
    return result
  }

  private func evidence(
    _ stage: [NodeID],
    _ graph: Graph,
    _ samples: [[String: Tensor]]
  ) throws(Refusal) -> [NodeID: BlockEvidence] {
    var layers: [NodeID: BlockEvidence] = [:]
    for id in stage { layers[id] = BlockEvidence(graph, id, from: float) }
    var moments: [ValueID: SecondMoments] = [:]
    for layer in layers.values { moments[layer.data] = layer.moments }
    let targets = moments.keys.sorted { $0.index < $1.index }
    let inner = targets.filter { !graph.inputs.contains($0) }
    let session =
      try inner.isEmpty
      ? nil
      : Session(
        graph.ending(at: inner),
        options: QConvert.sessionOptions(threads: threads)
      )
    let share = max(1, BlockRecovery.rowLimit / max(samples.count, 1))
    for sample in samples {
      let mask = TokenMask(sample)
      func take(_ id: ValueID, _ tensor: Tensor) { moments[id]?.add(tensor, mask, limit: share) }
      for id in targets where graph.inputs.contains(id) {
        if let tensor = sample[graph[id].name] { take(id, tensor) }
      }
      _ = try session?.run(sample, observing: inner) { (id, tensor) throws(Refusal) in take(id, tensor) }
    }
    for id in stage {
      if let data = layers[id]?.data, let own = moments[data] { layers[id]?.moments = own }
    }
    return layers
  }
}

extension Graph {
  /// The part of the graph that some values, at least one, depend on; all inputs stay.
  fileprivate func ending(at targets: [ValueID]) -> Graph {
    var part = self
    for index in part.outputs.indices { part.setOutput(index, to: targets[0]) }
    for target in targets.dropFirst() { part.addOutput(target) }
    part.removeUnused()
    return part
  }
}

extension SecondMoments {
  /// Adds rows spread evenly over those of a tensor that count.
  fileprivate mutating func add(_ tensor: Tensor, _ mask: TokenMask, limit: Int) {
    let all = mask.rows(of: tensor.count / max(length, 1))
    let count = min(limit, all.count)
    let rows = (0..<count).map { all[($0 * all.count + all.count / 2) / max(count, 1)] }
    unsafe tensor.withElements(as: Float.self) { (values) in unsafe add(values, rows: rows) }
  }
}
