import GraphIR

extension Pass {
  /// Finds activations that an exporter wrote as several nodes.
  ///
  /// Before:                                After:
  ///     %1 = add(%x, %three)                   %4 = hard_swish(%x)
  ///     %2 = clip(%1) {max = 6, min = 0}
  ///     %3 = mul(%x, %2)
  ///     %4 = div(%3, %six)
  ///
  /// - `clip(x + 3, 0, 6) / 6` is hard-sigmoid with 1/6 and 1/2, also as a product with 1/6.
  /// - `x · hard_sigmoid(x)` with 1/6 and 1/2, and `x · clip(x + 3, 0, 6) / 6`, are hard-swish.
  /// - `x · sigmoid(x)` is silu.
  ///
  /// Not applied: an intermediate value has another user or is an output, since it would still be needed. Results differ by
  /// rounding only.
  public static let recognizeActivations = Pass(
    name: "recognize-activations",
    summary: "Find hard-sigmoid, hard-swish and silu written as several nodes."
  ) { (graph, _) in
    var changed = false
    for id in graph.order {
      guard let (op, source) = recognized(id, graph) else { continue }
      graph.setOp(op, of: id)
      graph.setInputs([source], of: id)
      changed = true
    }
    return changed
  }
}

/// The activation that a node completes, and what it is applied to.
private func recognized(_ id: NodeID, _ graph: Graph) -> (Op, ValueID)? {
  let node = graph[id]
  guard case .binary(let binary) = node.op, node.inputs.count == 2 else { return nil }
  if let inner = sixth(of: node, graph) {
    if let x = shiftedClip(inner, graph) { return (.hardSigmoid(sixthSigmoid), x) }
    if let x = swishTimesSix(inner, graph) { return (.unary(Unary(.hardSwish)), x) }
  }
  guard binary.kind == .mul else { return nil }
  for (first, second) in [(0, 1), (1, 0)] {
    guard let x = node.inputs[first], let gate = node.inputs[second], graph.hasSingleUse(gate),
      let (_, producer) = graph.producer(of: gate)
    else { continue }
    if case .unary(let unary) = producer.op, unary.kind == .sigmoid, producer.inputs == [x] {
      return (.unary(Unary(.silu)), x)
    }
    if isSixthSigmoid(producer.op), producer.inputs == [x] { return (.unary(Unary(.hardSwish)), x) }
    if let inner = sixth(of: producer, graph), shiftedClip(inner, graph) == x {
      return (.unary(Unary(.hardSwish)), x)
    }
  }
  return nil
}

private let sixthSigmoid = HardSigmoid(alpha: 1 / 6, beta: 0.5)

private func isSixthSigmoid(_ op: Op) -> Bool {
  guard case .hardSigmoid(let op) = op else { return false }
  return abs(op.alpha - 1 / 6) < 1e-6 && op.beta == 0.5
}

/// The value that a node divides by 6, or multiplies by 1/6.
private func sixth(of node: Node, _ graph: Graph) -> ValueID? {
  guard case .binary(let binary) = node.op, node.inputs.count == 2 else { return nil }
  let (first, second) = (graph.scalar(node.inputs[0]), graph.scalar(node.inputs[1]))
  let value: ValueID?
  switch binary.kind {
  case .div: value = second == 6 ? node.inputs[0] : nil
  case .mul: value = isSixth(second) ? node.inputs[0] : isSixth(first) ? node.inputs[1] : nil
  case .add, .sub, .pow, .min, .max, .mod: value = nil
  }
  guard let value, graph.hasSingleUse(value) else { return nil }
  return value
}

private func isSixth(_ value: Float?) -> Bool { value.map { abs($0 - 1 / 6) < 1e-6 } ?? false }

/// `x`, where the value is `clip(x + 3, 0, 6)`.
private func shiftedClip(_ value: ValueID, _ graph: Graph) -> ValueID? {
  guard graph.hasSingleUse(value), let (_, clip) = graph.producer(of: value), isRelu6(clip.op),
    let sum = clip.inputs.first ?? nil, graph.hasSingleUse(sum), let (_, add) = graph.producer(of: sum),
    case .binary(let binary) = add.op, binary.kind == .add, add.inputs.count == 2
  else { return nil }
  if graph.scalar(add.inputs[1]) == 3 { return add.inputs[0] }
  if graph.scalar(add.inputs[0]) == 3 { return add.inputs[1] }
  return nil
}

/// `x`, where the value is `x · clip(x + 3, 0, 6)`.
private func swishTimesSix(_ value: ValueID, _ graph: Graph) -> ValueID? {
  guard graph.hasSingleUse(value), let (_, product) = graph.producer(of: value),
    case .binary(let binary) = product.op, binary.kind == .mul, product.inputs.count == 2
  else { return nil }
  for (first, second) in [(0, 1), (1, 0)] {
    guard let x = product.inputs[first], let gate = product.inputs[second] else { continue }
    if shiftedClip(gate, graph) == x { return x }
  }
  return nil
}

/// Whether an operator is `clip(0, 6)`.
func isRelu6(_ op: Op) -> Bool {
  guard case .clip(let clip) = op else { return false }
  return clip.min == 0 && clip.max == 6
}
