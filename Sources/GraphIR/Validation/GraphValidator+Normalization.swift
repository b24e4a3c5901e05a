internal import BinaryIO

extension GraphValidator {
  /// `var + epsilon > 0` for every channel of every batch normalisation with a constant variance (T-batch_norm).
  static func checkNormalization(_ graph: Graph) throws(Refusal) {
    for id in graph.order {
      let node = graph[id]
      guard case .batchNorm(let op) = node.op, node.inputs.count == 5, let variance = node.inputs[4],
        let values = graph[variance].constant?.floatValues()
      else { continue }
      guard let channel = values.firstIndex(where: { !($0 + op.epsilon > 0) }) else { continue }
      throw malformed(
        graph.label(of: id),
        "T-batch_norm",
        "variance \(values[channel]) of channel \(channel) plus epsilon \(op.epsilon) is not above 0"
      )
    }
  }
}
