import GraphIR

extension Pass {
  /// Removes nodes that give back their operand.
  ///
  /// Before:                                        After:
  ///     %1 = cast(%x) {to = "f32"}                     output %x
  ///     %2 = unsqueeze(%1) {axes = [2]}
  ///     %3 = squeeze(%2) {axes = [2]}
  ///     output %3
  ///
  /// Identities are: reshape, flatten, squeeze, unsqueeze, expand and cast to the same type, alone or as a chain that
  /// returns to the type it came from; a transpose that keeps the order, alone or after its inverse; concat and split of one; zero
  /// padding; clip without bounds; a slice of everything; a 1x1 pool with stride 1; adding 0 and multiplying by 1.
  ///
  /// Not applied: to an output of the graph whose operand is an input, a constant or another output, since it would
  /// lose its name; to shapes that are not known.
  public static let eliminateIdentities = Pass(
    name: "eliminate-identities",
    summary: "Remove nodes that give back their operand."
  ) { (graph, _) in
    var changed = false
    for id in graph.order {
      if let inner = composedTranspose(id, graph) {
        graph.setInputs([inner.source], of: id)
        graph.setOp(.transpose(Transpose(perm: inner.perm)), of: id)
        changed = true
      }
      guard let source = sameValue(id, graph), bypass(id, source, &graph) else { continue }
      changed = true
    }
    return changed
  }
}

/// The value that a node's only result always equals.
private func sameValue(_ id: NodeID, _ graph: Graph) -> ValueID? {
  let node = graph[id]
  guard node.outputs.count == 1, let source = node.inputs.first ?? nil else { return nil }
  let (before, after) = (graph[source].type, graph[node.outputs[0]].type)
  let isKept = isSame(before, after)
  switch node.op {
  case .reshape, .flatten, .squeeze, .unsqueeze: return originBeforeReshapes(source, after, graph)
  case .expand, .cast: return isKept ? source : nil
  case .transpose(let op): return op.perm == Array(op.perm.indices) ? source : nil
  case .concat: return node.inputs.count == 1 ? source : nil
  case .split: return isKept ? source : nil
  case .pad(let op): return op.pads.allSatisfy { $0 == 0 } ? source : nil
  case .clip(let op): return op.min == -.infinity && op.max == .infinity ? source : nil
  case .slice(let op): return isKept && (op.steps ?? []).allSatisfy { $0 == 1 } ? source : nil
  case .maxPool(let op): return isUnit(op.kernel, op.strides, op.pads) ? source : nil
  case .averagePool(let op): return isUnit(op.kernel, op.strides, op.pads) ? source : nil
  case .binary(let op):
    return neutralOperand(op.kind, node, graph).flatMap { isSame(graph[$0].type, after) ? $0 : nil }
  case .conv, .convTranspose, .gemm, .matMul, .lstm, .gru, .batchNorm, .layerNorm, .globalPool, .reduce,
    .argMax, .unary,
    .hardSigmoid, .leakyRelu, .elu, .gelu, .compare, .where, .prelu, .softmax, .gather, .shape,
    .constantOfShape, .gatherElements, .gatherND, .scatterND, .cumSum, .tile,
    .range, .resize, .quantizeLinear, .dequantizeLinear, .dequantizeBias, .dequantizeBlocks, .dynamicQuantize:
    return nil
  }
}

/// Whether two types are the same whatever the unknown extents are: equal symbols are equal extents.
private func isSame(_ a: TensorType, _ b: TensorType) -> Bool { a == b && !a.dims.contains(.unknown) }

private func isUnit(_ kernel: [Int], _ strides: [Int], _ pads: [Int]) -> Bool {
  (kernel + strides).allSatisfy { $0 == 1 } && pads.allSatisfy { $0 == 0 }
}

/// The value of the given type at or before `source`, when only reshaping stands between.
private func originBeforeReshapes(_ source: ValueID, _ type: TensorType, _ graph: Graph) -> ValueID? {
  var value = source
  while true {
    if isSame(graph[value].type, type) { return value }
    guard let (_, node) = graph.producer(of: value) else { return nil }
    switch node.op {
    case .reshape, .flatten, .squeeze, .unsqueeze: break
    default: return nil
    }
    guard let next = node.inputs.first ?? nil else { return nil }
    value = next
  }
}

/// The operand that an addition of 0 or a multiplication by 1 gives back.
private func neutralOperand(_ kind: Binary.Kind, _ node: Node, _ graph: Graph) -> ValueID? {
  guard node.inputs.count == 2 else { return nil }
  let (first, second) = (graph.scalar(node.inputs[0]), graph.scalar(node.inputs[1]))
  return switch kind {
  case .add: second == 0 ? node.inputs[0] : first == 0 ? node.inputs[1] : nil
  case .mul: second == 1 ? node.inputs[0] : first == 1 ? node.inputs[1] : nil
  case .sub: second == 0 ? node.inputs[0] : nil
  case .div, .pow: second == 1 ? node.inputs[0] : nil
  case .min, .max, .mod: nil
  }
}

/// One transpose that does what a transpose of a transpose does.
private func composedTranspose(_ id: NodeID, _ graph: Graph) -> (source: ValueID, perm: [Int])? {
  guard case .transpose(let outer) = graph[id].op, let middle = graph[id].inputs.first ?? nil,
    let (_, producer) = graph.producer(of: middle), case .transpose(let inner) = producer.op,
    let source = producer.inputs.first ?? nil, inner.perm.count == outer.perm.count
  else { return nil }
  return (source, outer.perm.map { inner.perm[$0] })
}

/// Lets the users of a node use `source` instead; false where an output of the graph would lose its name.
private func bypass(_ id: NodeID, _ source: ValueID, _ graph: inout Graph) -> Bool {
  let result = graph.result(of: id)
  guard graph.isOutput(result) else {
    graph.replaceUses(of: result, with: source)
    graph.detach(id)
    return true
  }
  guard graph[source].producer != nil, !graph.isOutput(source) else { return false }
  graph.detach(id)
  graph.substitute(result, by: source)
  return true
}
