import BinaryIO
import GraphIR

extension Pass {
  /// Folds factors behind the heads of attention into the linear layer that makes queries and keys.
  ///
  /// Before:                                     After:
  ///     %1 = gemm(%x, %w, %b)                       %1 = gemm(%x, %w', %b')
  ///     %2 = reshape, split, transpose ... (%1)     %2 = reshape, split, transpose ... (%1)
  ///     %3 = mul(%2, 0.125)                         %4 = matmul(%2, %k)
  ///     %4 = matmul(%3, %k)
  ///
  /// A factor of the scores, behind the product, goes into the queries likewise. Only the output channels that reach the
  /// factor are scaled.
  ///
  /// Not applied: to channels that something else reads, too; to shared or computed weights; across activations.
  public static let foldAttentionScale = Pass(
    name: "fold-attention-scale",
    summary: "Fold factors of queries, keys and scores into the linear layer before them."
  ) { (graph, context) throws(Refusal) in
    var changed = false
    for id in graph.order {
      while try foldOne(id, &graph, &context) { changed = true }
    }
    return changed
  }
}

/// A factor that channels of a linear node meet.
private struct Factor {
  /// The multiplication or division.
  let node: NodeID
  /// What it multiplies.
  let operand: ValueID
  let value: Double
}

/// Folds the first factor found behind a linear node.
private func foldOne(_ id: NodeID, _ graph: inout Graph, _ context: inout PassContext) throws(Refusal) -> Bool
{
  guard graph.contains(id), let linear = LinearNode(graph, id), linear.isPlainMatrix,
    let weight = linear.constantWeight(graph), graph.hasSingleUse(linear.weight),
    let bias = linear.biasValues(graph)
  else { return false }
  let flow = ChannelFlow(graph, from: graph.result(of: id), channels: linear.channels)
  for (index, use) in flow.uses.enumerated() {
    guard flow.isAlone(index), let factor = factor(at: use, graph) else { continue }
    var factors = [Double](repeating: 1, count: linear.channels)
    for channel in use.labels.channels { factors[channel] = factor.value }
    guard let scaled = try linear.scaledWeight(weight, by: factors, in: context.allocator) else {
      return false
    }
    weight.releasePages()
    graph.setConstant(scaled, of: linear.weight)
    if linear.bias != nil {
      let values = zip(bias, factors).map { Float(Double($0) * $1) }
      let name = graph[graph.result(of: id)].name
      let tensor = graph.addConstant(graph.uniqueName("\(name).bias"), try Tensor.floats(values))
      graph.setInputs([linear.data, linear.weight, tensor], of: id)
    }
    let result = graph.result(of: factor.node)
    graph.detach(factor.node)
    graph.substitute(result, by: factor.operand)
    flow.rename(Set(use.labels.channels), suffix: ".scaled", except: factor.operand, in: &graph)
    return true
  }
  return false
}

/// The factor that a use multiplies by, or that the scores made from it are multiplied by.
private func factor(at use: ChannelFlow.Use, _ graph: Graph) -> Factor? {
  guard let node = use.node else { return nil }
  if let own = scalarFactor(node, use.operand, graph) {
    return Factor(node: node, operand: use.value, value: own)
  }
  guard case .matMul = graph[node].op, LinearNode(graph, node)?.constantWeight(graph) == nil else {
    return nil
  }
  let scores = graph.result(of: node)
  guard let user = graph.onlyUser(of: scores)?.id,
    let operand = graph[user].inputs.firstIndex(where: { $0 == scores }),
    let value = scalarFactor(user, operand, graph)
  else { return nil }
  return Factor(node: user, operand: scores, value: value)
}

/// The number that a node multiplies its operand by, its shape staying; nil for other nodes.
private func scalarFactor(_ id: NodeID, _ operand: Int, _ graph: Graph) -> Double? {
  let node = graph[id]
  guard case .binary(let op) = node.op, node.inputs.count == 2, let value = node.inputs[operand],
    let number = graph.scalar(node.inputs[1 - operand]), number.isFinite, number != 0,
    graph[value].type == graph[graph.result(of: id)].type
  else { return nil }
  switch op.kind {
  case .mul: return Double(number)
  case .div where operand == 0: return 1 / Double(number)
  case .add, .sub, .div, .pow, .min, .max, .mod: return nil
  }
}
