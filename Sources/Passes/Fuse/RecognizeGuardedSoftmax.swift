import GraphIR

extension Pass {
  /// Finds softmax whose rows are 0 where they would be no numbers, as exporters write it for masks that leave nothing.
  ///
  /// Before:                                After:
  ///     %p = softmax(%x)                       %y = softmax(%x) {guarded = 1}
  ///     %e = equal(%p, %p)
  ///     %n = not(%e)
  ///     %y = where(%n, %zero, %p)
  ///
  /// Results are the same: a row of softmax is no number as a whole or not at all. Not applied: an intermediate value has
  /// another user or is an output.
  public static let recognizeGuardedSoftmax = Pass(
    name: "recognize-guarded-softmax",
    summary: "Find softmax of rows that may be masked as a whole."
  ) { (graph, _) in
    var changed = false
    for id in graph.order {
      guard let (softmax, source) = guarded(id, graph) else { continue }
      graph.setOp(.softmax(softmax), of: id)
      graph.setInputs([source], of: id)
      changed = true
    }
    return changed
  }
}

/// The softmax that a choice guards, and what it is applied to.
private func guarded(_ id: NodeID, _ graph: Graph) -> (Softmax, ValueID)? {
  let node = graph[id]
  guard case .where = node.op, node.inputs.count == 3, let isNone = node.inputs[0], let p = node.inputs[2],
    graph.scalar(node.inputs[1]) == 0, graph.hasSingleUse(isNone),
    let (_, negation) = graph.producer(of: isNone), case .unary(Unary(.not)) = negation.op,
    let isSame = negation.inputs[0], graph.hasSingleUse(isSame),
    let (comparison, equality) = graph.producer(of: isSame), case .compare(Compare(.equal)) = equality.op,
    equality.inputs == [p, p], Set(graph.users(of: p)) == [comparison, id], !graph.isOutput(p),
    let (_, producer) = graph.producer(of: p), case .softmax(var softmax) = producer.op, !softmax.isLog,
    let x = producer.inputs[0], graph[graph.result(of: id)].type == graph[p].type
  else { return nil }
  softmax.isGuarded = true
  return (softmax, x)
}
