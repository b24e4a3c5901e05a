import GraphIR

/// A recurrent operator seen as the product of its state with a matrix.
struct RecurrentNode {
  let id: NodeID
  /// The matrix, with one row per gate and hidden unit.
  let weight: ValueID
  let rows: Int
  /// Products summed for one row.
  let hidden: Int
  private let op: Op

  /// The recurrent node `id`; nil for other operators and for weights without known extents.
  init?(_ graph: Graph, _ id: NodeID) {
    let node = graph[id]
    switch node.op {
    case .lstm, .gru: op = node.op
    default: return nil
    }
    guard node.inputs.count > 1, let weight = node.inputs[1], let shape = graph[weight].type.knownDims,
      shape.count == 2
    else { return nil }
    self.id = id
    self.weight = weight
    (rows, hidden) = (shape[0], shape[1])
  }

  /// The f32 weight, if it is a constant.
  func constantWeight(_ graph: Graph) -> Tensor? {
    guard let tensor = graph[weight].constant, tensor.dtype == .float32 else { return nil }
    return tensor
  }

  /// The operator with its state quantized in every step.
  var dynamicOp: Op {
    switch op {
    case .lstm(var op):
      op.recurrence.isDynamic = true
      return .lstm(op)
    case .gru(var op):
      op.recurrence.isDynamic = true
      return .gru(op)
    default: return op
    }
  }

  /// The recurrent nodes that multiply by a matrix, each once; nil if anything else uses it.
  static func users(of weight: ValueID, _ graph: Graph) -> [RecurrentNode]? {
    var result: [RecurrentNode] = []
    guard !graph.isOutput(weight) else { return nil }
    for user in graph.users(of: weight) {
      guard let node = RecurrentNode(graph, user), node.weight == weight,
        graph[user].inputs.count(where: { $0 == weight }) == 1
      else { return nil }
      result.append(node)
    }
    return result
  }
}
