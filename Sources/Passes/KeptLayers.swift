import BinaryIO
package import GraphIR

/// How the weights of a layer that computes in float are stored.
package enum FloatFormat: String, Hashable, Sendable {
  case float32 = "f32"
  /// Widened when they are used; those that do not fit stay f32.
  case float16 = "f16"
  /// As those of integer layers; widened when they are used.
  case int8 = "i8"
}

/// A weight that int8 conversion stores in 8 bits, with the linear or recurrent nodes that multiply by it.
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
  /// Products of one run, extents that are not known counting as 1.
  package let products: Int
  /// Whether what it multiplies by its weight is its own state.
  package let isRecurrent: Bool

  /// The layers of a graph, prepared by ``Pipelines/float``, in order.
  package static func all(in graph: Graph, _ options: PassOptions) -> [QuantizableLayer] {
    var positions: [ValueID: Int] = [:]
    var result: [QuantizableLayer] = []
    for id in graph.order {
      guard let weight = weight(of: id, in: graph, options) else { continue }
      if let position = positions[weight] {
        result[position] = QuantizableLayer(graph, result[position].nodes + [id], weight)
      } else {
        positions[weight] = result.count
        result.append(QuantizableLayer(graph, [id], weight))
      }
    }
    return result
  }

  /// The weight of a node that is quantized; nil for other nodes.
  private static func weight(of id: NodeID, in graph: Graph, _ options: PassOptions) -> ValueID? {
    if let recurrent = RecurrentNode(graph, id) {
      return recurrent.constantWeight(graph) == nil ? nil : recurrent.weight
    }
    guard let linear = LinearNode(graph, id), !linear.staysFloat(options),
      linear.integerObstacle(graph, isDynamic: options.activations == .dynamic) == nil
    else { return nil }
    return linear.weight
  }

  private init(_ graph: Graph, _ nodes: [NodeID], _ weight: ValueID) {
    let first = graph[nodes[0]]
    self.nodes = nodes
    name = graph[first.outputs[0]].name
    nodeName = first.name
    op = first.op.name
    weightName = graph[weight].name
    weights = graph[weight].type.elementCount ?? 0
    isRecurrent = RecurrentNode(graph, nodes[0]) != nil
    products = nodes.reduce(0) { sum, id in
      let terms = LinearNode(graph, id)?.terms ?? RecurrentNode(graph, id)?.rows ?? 0
      let own = Checked.product(graph[graph[id].outputs[0]].type.dims.map { $0.value ?? 1 } + [terms])
      return Checked.sum(sum, own ?? .max) ?? .max
    }
  }
}

extension QuantizationTargets {
  /// The nodes that `chosen` keeps in float, completed by those that share a weight with one of them.
  package static func closure(of chosen: [NodeID], in graph: Graph) -> [NodeID] {
    var result: [NodeID] = []
    var seen: Set<NodeID> = []
    for id in chosen {
      let linear = LinearNode(graph, id).flatMap { $0.constantWeight(graph) == nil ? nil : $0.weight }
      let recurrent = RecurrentNode(graph, id).flatMap { $0.constantWeight(graph) == nil ? nil : $0.weight }
      let partners = (linear ?? recurrent).map { graph.users(of: $0) } ?? []
      for node in [id] + partners where seen.insert(node).inserted { result.append(node) }
    }
    return result
  }
}
