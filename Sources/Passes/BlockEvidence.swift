package import GraphIR
package import Quantization

/// A matrix product whose weight is stored in blocks, with what its float form and calibration know of it.
package struct BlockEvidence: Sendable {
  /// What the node multiplies.
  package let data: ValueID
  /// The f32 weight before quantization.
  let weight: Tensor
  /// One bias per output channel before quantization; nil where the node takes none.
  let bias: [Float]?
  /// Of the rows that the quantized network's node reads.
  package var moments: SecondMoments

  /// The evidence, without any rows yet; nil for nodes whose weight is not stored in blocks or has other users.
  ///
  /// Nodes keep their ids while a graph is quantized.
  package init?(_ graph: Graph, _ id: NodeID, from float: Graph) {
    guard let linear = LinearNode(graph, id), linear.isPlainRows, graph.hasSingleUse(linear.weight),
      let (_, widening) = graph.producer(of: linear.weight), case .dequantizeBlocks = widening.op,
      float.contains(id), let original = LinearNode(float, id),
      let weight = original.constantWeight(float)
    else { return nil }
    data = linear.data
    self.weight = weight
    if case .gemm = linear.op { bias = original.biasValues(float) } else { bias = nil }
    moments = SecondMoments(length: linear.terms)
  }
}
