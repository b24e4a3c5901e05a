import GraphIR

extension Pass {
  /// Moves constant zero padding into the operator that follows.
  ///
  /// Before:                                             After:
  ///     %1 = pad(%x) {pads = [0, 0, 1, 1, 0, 0, 1, 1]}      %2 = conv(%x, %w) {pads = [1, 1, 1, 1], ...}
  ///     %2 = conv(%1, %w) {pads = [0, 0, 0, 0], ...}
  ///
  /// Convolutions pad with zeros, and so does an average pool that counts its padding. Max pools do not: their padding
  /// never wins.
  ///
  /// Not applied (each with a remark): the mode is not constant or the value not 0; an amount is negative or pads batch or
  /// channels; the padded value has another user or is an output; an average pool rounds its extent up.
  public static let foldPad = Pass(
    name: "fold-pad",
    summary: "Move zero padding into the convolution or average pool that follows."
  ) { (graph, context) in
    var changed = false
    for id in graph.order {
      guard case .pad(let pad) = graph[id].op, let (user, node) = follower(of: id, graph),
        let op = padded(node.op, by: pad, id, graph, &context)
      else { continue }
      graph.setOp(op, of: user)
      graph.setInputs([graph[id].inputs[0]] + node.inputs.dropFirst(), of: user)
      changed = true
    }
    return changed
  }
}

/// The operator after a pad, if it is one that pads and uses the pad's result as its data.
private func follower(of id: NodeID, _ graph: Graph) -> (NodeID, Node)? {
  let result = graph.result(of: id)
  guard let user = graph.users(of: result).first, graph[user].inputs.first == result else { return nil }
  switch graph[user].op {
  case .conv, .averagePool: return (user, graph[user])
  default: return nil
  }
}

private func padded(_ op: Op, by pad: Pad, _ id: NodeID, _ graph: Graph, _ context: inout PassContext) -> Op?
{
  guard graph.hasSingleUse(graph.result(of: id)) else {
    context.missed(graph, id, "the padded value has another user or is an output")
    return nil
  }
  guard pad.mode == .constant, pad.value == 0 else {
    context.missed(graph, id, "only zeros can be padded by the operator that follows")
    return nil
  }
  let rank = pad.pads.count / 2
  let (begins, ends) = (pad.pads[..<rank], pad.pads[rank...])
  guard rank > 2, pad.pads.allSatisfy({ $0 >= 0 }), begins.prefix(2) + ends.prefix(2) == [0, 0, 0, 0] else {
    context.missed(graph, id, "it pads batch or channels, or removes elements")
    return nil
  }
  let amounts = Array(begins.dropFirst(2) + ends.dropFirst(2))
  switch op {
  case .conv(var conv):
    guard let sum = summed(conv.pads, amounts) else { return nil }
    conv.pads = sum
    return .conv(conv)
  case .averagePool(var pool):
    let countsPads = pool.countIncludePad || pool.pads.allSatisfy { $0 == 0 }
    guard countsPads, !pool.ceilMode, let sum = summed(pool.pads, amounts),
      zip(sum, pool.kernel + pool.kernel).allSatisfy({ $0 < $1 })
    else {
      context.missed(graph, id, "the average pool that follows does not count padding, or rounds up")
      return nil
    }
    pool.pads = sum
    pool.countIncludePad = true
    return .averagePool(pool)
  default: return nil
  }
}

private func summed(_ a: [Int], _ b: [Int]) -> [Int]? {
  guard a.count == b.count else { return nil }
  let sums = zip(a, b).map { $0.addingReportingOverflow($1) }
  return sums.allSatisfy { !$0.overflow && $0.partialValue <= 65_535 } ? sums.map(\.partialValue) : nil
}
