import BinaryIO
import GraphIR

extension Pass {
  /// Folds constants per channel into the convolution or matrix product before them.
  ///
  /// Before:                                After:
  ///     %1 = conv(%x, %w)                      %3 = conv(%x, %w', %b')
  ///     %2 = mul(%1, %scale)
  ///     %3 = add(%2, %shift)
  ///
  /// The constant of an add, sub, mul or div is a single number, or one per output channel. The `alpha` and `beta` of a gemm
  /// go into its operands, and a matrix product whose second operand is a constant matrix, or its transpose,
  /// becomes a gemm. So a LayerScale
  /// ends in the weight and bias of the Linear before it.
  ///
  /// Not applied: the value between has another user or is an output; the weight is shared; an activation stands
  /// between; division by 0.
  public static let foldScalars = Pass(
    name: "fold-scalars",
    summary: "Fold constants per channel into the operator before them."
  ) { (graph, context) throws(Refusal) in
    var changed = false
    for id in graph.order {
      switch graph[id].op {
      case .binary(let op): changed = try fold(op.kind, id, &graph, &context) || changed
      case .gemm(let op): changed = try normalize(op, id, &graph, &context) || changed
      case .matMul: changed = becomeGemm(id, &graph) || changed
      default: break
      }
    }
    return changed
  }
}

/// A matrix product with a constant matrix, or the transpose of one, as a gemm.
private func becomeGemm(_ id: NodeID, _ graph: inout Graph) -> Bool {
  guard let linear = LinearNode(graph, id), graph[linear.data].type.rank >= 2 else { return false }
  guard linear.constantWeight(graph) == nil else {
    graph.setOp(.gemm(Gemm()), of: id)
    return true
  }
  guard let (_, turn) = graph.producer(of: linear.weight), case .transpose(let op) = turn.op,
    op.perm == [1, 0], let source = turn.inputs[0], graph.constant(source)?.dtype == .float32
  else { return false }
  graph.setOp(.gemm(Gemm(transB: true)), of: id)
  graph.setInputs([linear.data, source], of: id)
  return true
}

/// Moves alpha into the weight and beta into the bias.
private func normalize(
  _ op: Gemm,
  _ id: NodeID,
  _ graph: inout Graph,
  _ context: inout PassContext
) throws(Refusal) -> Bool {
  guard op.alpha != 1 || op.beta != 1, let linear = LinearNode(graph, id) else { return false }
  var plain = op
  if op.beta != 1, linear.bias == nil {
    plain.beta = 1
  } else if op.beta != 1, let bias = linear.bias, graph.hasSingleUse(bias),
    let values = linear.biasValues(graph)
  {
    graph.setConstant(try Tensor.floats(values.map { $0 * op.beta }), of: bias)
    plain.beta = 1
  }
  if op.alpha != 1, graph.hasSingleUse(linear.weight), let weight = linear.constantWeight(graph) {
    let factors = [Double](repeating: Double(op.alpha), count: linear.channels)
    guard let scaled = try linear.scaledWeight(weight, by: factors, in: context.allocator) else {
      return false
    }
    weight.releasePages()
    graph.setConstant(scaled, of: linear.weight)
    plain.alpha = 1
  }
  guard plain != op else { return false }
  graph.setOp(.gemm(plain), of: id)
  return true
}

/// Folds a binary node with a constant into the linear node before it.
private func fold(
  _ kind: Binary.Kind,
  _ id: NodeID,
  _ graph: inout Graph,
  _ context: inout PassContext
) throws(Refusal) -> Bool {
  guard let (linear, constant, isFirst) = match(id, graph),
    let change = change(kind, by: constant, constantIsFirst: isFirst),
    let bias = linear.biasValues(graph)
  else { return false }
  if case .gemm(let op) = linear.op, op.alpha != 1 || op.beta != 1 { return false }
  guard graph.hasSingleUse(linear.weight) || change.factors == nil else {
    context.missed(graph, id, "the weight before it is shared with another node")
    return false
  }
  let name = graph[graph.result(of: linear.id)].name
  if let factors = change.factors {
    guard let weight = linear.constantWeight(graph),
      let scaled = try linear.scaledWeight(weight, by: factors, in: context.allocator)
    else { return false }
    weight.releasePages()
    graph.setConstant(scaled, of: linear.weight)
  }
  let values = bias.indices.map {
    Float(Double(bias[$0]) * (change.factors?[$0] ?? 1) + (change.shifts?[$0] ?? 0))
  }
  let tensor = try Tensor.floats(values)
  let newBias = graph.addConstant(graph.uniqueName("\(name).bias"), tensor)
  context.normalized[linear.id] = nil
  graph.absorb(id, into: linear.id, as: linear.op, inputs: [linear.data, linear.weight, newBias])
  return true
}

/// A binary node's linear operand and its constant one as a number per channel.
private func match(
  _ id: NodeID,
  _ graph: Graph
) -> (linear: LinearNode, constant: [Float], constantIsFirst: Bool)? {
  let node = graph[id]
  for (data, other) in [(0, 1), (1, 0)] {
    guard let value = node.inputs[data], let (producer, _) = graph.producer(of: value),
      graph.hasSingleUse(value), let linear = LinearNode(graph, producer), linear.takesActivation,
      linear.activation == .none, linear.constantWeight(graph) != nil,
      graph[value].type == graph[graph.result(of: id)].type,
      let tensor = graph.constant(node.inputs[other]), tensor.dtype == .float32,
      let constant = perChannel(tensor, linear, rank: graph[value].type.rank)
    else { continue }
    return (linear, constant, other == 0)
  }
  return nil
}

/// The elements of a constant that broadcasts over all but the channel axis.
private func perChannel(_ tensor: Tensor, _ linear: LinearNode, rank: Int) -> [Float]? {
  let values = tensor.elements(as: Float.self)
  if tensor.count == 1 { return [Float](repeating: values[0], count: linear.channels) }
  let padded = Array(repeating: 1, count: max(0, rank - tensor.shape.count)) + tensor.shape
  var axis = 1
  if case .gemm = linear.op { axis = rank - 1 }
  guard tensor.count == linear.channels, padded.count == rank, rank > 1, padded[axis] == linear.channels
  else { return nil }
  return values
}

/// What the operation does to each channel: `y = x · factor + shift`.
private func change(
  _ kind: Binary.Kind,
  by constant: [Float],
  constantIsFirst: Bool
) -> (factors: [Double]?, shifts: [Double]?)? {
  let values = constant.map(Double.init)
  guard constant.allSatisfy(\.isFinite) else { return nil }
  switch kind {
  case .add: return (nil, values)
  case .sub where constantIsFirst: return (values.map { _ in -1 }, values)
  case .sub: return (nil, values.map { -$0 })
  case .mul: return (values, nil)
  case .div where !constantIsFirst && !constant.contains(0): return (values.map { 1 / $0 }, nil)
  case .div, .pow, .min, .max, .mod: return nil
  }
}
