internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Passes
internal import Runtime

/// Gathers rows that the matrix products of a float network read on calibration data.
struct ActivationSampler {
  let threads: Int?

  /// Samples used, at most.
  private static let sampleLimit = 64
  /// Rows kept of one value, more or less: 6 MB of the widest layer of a base-sized transformer.
  private static let rowLimit = 512

  /// Runs the network on samples spread over the data.
  func gather(_ graph: Graph, on dataset: Dataset) throws(Refusal) -> [ValueID: ActivationSample] {
    let part = dataset.spread(ActivationSampler.sampleLimit)
    let targets = QuantizationTargets.rowValues(graph)
    guard part.count > 0, !targets.isEmpty else { return [:] }
    let share = max(2, ActivationSampler.rowLimit / part.count)
    var result: [ValueID: ActivationSample] = [:]
    for id in targets { result[id] = ActivationSample(width: QuantizationTargets.width(of: id, in: graph)) }
    let session = try Session(graph, options: QConvert.sessionOptions(threads: threads))
    for index in 0..<part.count {
      let sample = try part.sample(index).inputs
      let mask = TokenMask(sample)
      _ = try session.run(sample, observing: targets) { (id, tensor) throws(Refusal) in
        let rows = mask.rows(of: tensor.count / max(result[id]?.width ?? 1, 1))
        result[id]?.observe(tensor, rows: rows, number: index, limit: min(share, 64))
      }
    }
    return result
  }
}
