package import GraphIR

/// How the weights of a layer that is not quantized are stored.
package enum FloatFormat: String, Hashable, Sendable {
  case float32 = "f32"
  /// Widened when they are used; those that do not fit stay f32.
  case float16 = "f16"
}

/// A weight that int8 conversion stores in 8 bits, with the linear nodes that multiply by it.
package struct QuantizableLayer: Sendable {
  /// In the order of the graph; several where the weight is shared.
  package let nodes: [NodeID]
  /// The name of the first node's result.
  package let name: String
  /// The first node's own name, which may be empty.
  package let nodeName: String
  /// Kind of operator, such as `conv`.
  package let op: String
  package let weightName: String
  /// Elements of the weight.
  package let weights: Int

  /// The layers of a graph, prepared by ``Pipelines/float``, in order.
  package static func all(in graph: Graph, _ options: PassOptions) -> [QuantizableLayer] {
    var positions: [ValueID: Int] = [:]
    var result: [QuantizableLayer] = []
    for id in graph.order {
      guard let linear = LinearNode(graph, id), !linear.staysFloat(options),
        linear.integerObstacle(graph, isDynamic: options.activations == .dynamic) == nil
      else { continue }
      if let position = positions[linear.weight] {
        result[position] = QuantizableLayer(graph, result[position].nodes + [id], linear)
      } else {
        positions[linear.weight] = result.count
        result.append(QuantizableLayer(graph, [id], linear))
      }
    }
    return result
  }

  private init(_ graph: Graph, _ nodes: [NodeID], _ linear: LinearNode) {
    let first = graph[nodes[0]]
    self.nodes = nodes
    name = graph[first.outputs[0]].name
    nodeName = first.name
    op = first.op.name
    weightName = graph[linear.weight].name
    weights = linear.weightShape.reduce(1, *)
  }
}

extension QuantizationTargets {
  /// The nodes that `chosen` keeps in float, completed by those that share a weight with one of them.
  package static func closure(of chosen: [NodeID], in graph: Graph) -> [NodeID] {
    var result: [NodeID] = []
    var seen: Set<NodeID> = []
    for id in chosen {
      let linear = LinearNode(graph, id).flatMap { $0.constantWeight(graph) == nil ? nil : $0 }
      let partners = linear.map { graph.users(of: $0.weight) } ?? []
      for node in [id] + partners where seen.insert(node).inserted { result.append(node) }
    }
    return result
  }
}
