import GraphIR

extension Pass {
  /// Finds GELU that an exporter wrote as several nodes.
  ///
  /// Before:                                After:
  ///     %1 = div(%x, %root_of_two)             %5 = gelu(%x)
  ///     %2 = erf(%1)
  ///     %3 = add(%2, %one)
  ///     %4 = mul(%x, %3)
  ///     %5 = mul(%4, %half)
  ///
  /// The three factors may stand in any order. With `tanh(√(2/π) · (x + 0.044715 · x³))` in place of the erf it is the tanh form.
  ///
  /// Not applied: an intermediate value has another user or is an output, since it would still be needed. Results differ by
  /// rounding only.
  public static let recognizeGelu = Pass(
    name: "recognize-gelu",
    summary: "Find GELU written as several nodes."
  ) { (graph, _) in
    var changed = false
    for id in graph.order {
      guard let (op, source) = gelu(id, graph) else { continue }
      graph.setOp(.gelu(op), of: id)
      graph.setInputs([source], of: id)
      changed = true
    }
    return changed
  }
}

/// The GELU that a product completes, and what it is applied to.
private func gelu(_ id: NodeID, _ graph: Graph) -> (Gelu, ValueID)? {
  guard case .binary(let op) = graph[id].op, op.kind == .mul else { return nil }
  let factors = factors(of: id, graph)
  guard factors.count == 3, let half = factors.firstIndex(where: { isNear(graph.scalar($0), 0.5) }) else {
    return nil
  }
  let rest = factors.indices.filter { $0 != half }.map { factors[$0] }
  for (x, gate) in [(rest[0], rest[1]), (rest[1], rest[0])] {
    guard graph.hasSingleUse(gate), let inner = addend(of: gate, 1, graph), graph.hasSingleUse(inner),
      let (_, node) = graph.producer(of: inner), case .unary(let unary) = node.op,
      let argument = node.inputs[0], graph.hasSingleUse(argument),
      graph[x].type == graph[graph.result(of: id)].type
    else { continue }
    switch unary.kind {
    case .erf where isScaled(argument, x, by: 0.5.squareRoot(), graph): return (Gelu(), x)
    case .tanh where isTanhArgument(argument, x, graph): return (Gelu(isTanh: true), x)
    default: continue
    }
  }
  return nil
}

/// The factors of a product; products that only it uses are taken apart.
private func factors(of id: NodeID, _ graph: Graph) -> [ValueID] {
  graph[id].inputs.compactMap(\.self).flatMap { operand -> [ValueID] in
    guard graph.hasSingleUse(operand), let (inner, node) = graph.producer(of: operand),
      case .binary(let op) = node.op, op.kind == .mul
    else { return [operand] }
    return graph[inner].inputs.compactMap(\.self)
  }
}

private func isNear(_ value: Float?, _ wanted: Double) -> Bool {
  value.map { abs(Double($0) - wanted) <= 1e-4 * abs(wanted) } ?? false
}

/// `y`, where the value is `y + number`.
private func addend(of value: ValueID, _ number: Double, _ graph: Graph) -> ValueID? {
  guard let (_, node) = graph.producer(of: value), case .binary(let op) = node.op, op.kind == .add else {
    return nil
  }
  if isNear(graph.scalar(node.inputs[1]), number) { return node.inputs[0] }
  return isNear(graph.scalar(node.inputs[0]), number) ? node.inputs[1] : nil
}

/// What the value multiplies by `factor`, or divides by its reciprocal.
private func scaled(_ value: ValueID, by factor: Double, _ graph: Graph) -> ValueID? {
  guard let (_, node) = graph.producer(of: value), case .binary(let op) = node.op else { return nil }
  let (first, second) = (graph.scalar(node.inputs[0]), graph.scalar(node.inputs[1]))
  switch op.kind {
  case .mul where isNear(second, factor): return node.inputs[0]
  case .mul where isNear(first, factor): return node.inputs[1]
  case .div where isNear(second, 1 / factor): return node.inputs[0]
  default: return nil
  }
}

private func isScaled(_ value: ValueID, _ x: ValueID, by factor: Double, _ graph: Graph) -> Bool {
  scaled(value, by: factor, graph) == x
}

/// Whether the value is `√(2/π) · (x + 0.044715 · x³)`.
private func isTanhArgument(_ value: ValueID, _ x: ValueID, _ graph: Graph) -> Bool {
  guard let sum = scaled(value, by: (2 / Double.pi).squareRoot(), graph), graph.hasSingleUse(sum),
    let (_, node) = graph.producer(of: sum), case .binary(let op) = node.op, op.kind == .add,
    let term = node.inputs[0] == x ? node.inputs[1] : node.inputs[0], node.inputs.contains(x),
    graph.hasSingleUse(term), let cube = scaled(term, by: 0.044715, graph), graph.hasSingleUse(cube)
  else { return false }
  return isCube(cube, of: x, graph)
}

private func isCube(_ value: ValueID, of x: ValueID, _ graph: Graph) -> Bool {
  guard let (_, node) = graph.producer(of: value), case .binary(let op) = node.op else { return false }
  if op.kind == .pow { return node.inputs[0] == x && graph.scalar(node.inputs[1]) == 3 }
  guard op.kind == .mul, node.inputs.contains(x),
    let square = node.inputs[0] == x ? node.inputs[1] : node.inputs[0],
    let (_, inner) = graph.producer(of: square), case .binary(let product) = inner.op, product.kind == .mul
  else { return false }
  return inner.inputs == [x, x]
}
