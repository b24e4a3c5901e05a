package import GraphIR

/// What calibration has to look at.
package enum QuantizationTargets {
  /// The values of a graph, prepared by ``Pipelines/float``, whose ranges static quantization needs, in order.
  ///
  /// - Parameter kept: Nodes that stay float.
  package static func activationValues(_ graph: Graph, keeping kept: Set<NodeID> = []) -> [ValueID] {
    IntegerRegions(graph, keeping: kept).observed
  }

  /// The values whose rows matrix products with constant weights read, each once, in order.
  package static func rowValues(_ graph: Graph) -> [ValueID] {
    var seen: Set<ValueID> = []
    return graph.order.compactMap { id in
      guard let linear = LinearNode(graph, id), linear.isPlainRows, linear.constantWeight(graph) != nil,
        !graph[linear.data].isConstant, graph[linear.data].type.dtype == .float32,
        seen.insert(linear.data).inserted
      else { return nil }
      return linear.data
    }
  }

  /// What a transformer loses most by in 8 bits for the little it weighs: patch embeddings, the functions between matrix products,
  /// and the last matrix product where it holds at most 2 % of the weights.
  package static func sensitiveNodes(
    ofTransformer graph: Graph
  ) -> [(node: NodeID, format: FloatFormat)] {
    var result: [(node: NodeID, format: FloatFormat)] = []
    var products: [(id: NodeID, weights: Int)] = []
    for id in graph.order {
      switch graph[id].op {
      case .conv: result.append((id, .float16))
      case .gelu, .unary, .clip, .hardSigmoid, .leakyRelu, .elu: result.append((id, .float32))
      case .gemm, .matMul:
        guard let linear = LinearNode(graph, id), linear.constantWeight(graph) != nil else { continue }
        products.append((id, linear.channels * linear.terms))
      default: continue
      }
    }
    let total = products.reduce(0) { $0 + $1.weights }
    if let last = products.last, last.weights * 50 <= total,
      graph.users(of: graph[last.id].inputs[1] ?? graph.result(of: last.id)).count == 1
    {
      result.append((last.id, .float16))
    }
    return result
  }

  /// Elements of the rows that ``rowValues(_:)`` names.
  package static func width(of value: ValueID, in graph: Graph) -> Int {
    graph[value].type.dims.last?.value
      ?? graph.users(of: value).lazy.compactMap { LinearNode(graph, $0)?.terms }.first ?? 0
  }
}
