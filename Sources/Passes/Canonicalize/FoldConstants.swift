import BinaryIO
import GraphIR

extension Pass {
  /// Computes nodes whose operands are all constants.
  ///
  /// Before:                                After:
  ///     %1 = add(%two, %three)                 %1 = constant 5
  ///
  /// Rearranging a constant (reshape, transpose and the like) is folded at any size when nobody else uses it; slices and
  /// joints of constants, as exporters leave them in front of recurrent operators, as long as one run makes no more elements
  /// than there are; other results up to 65,536 elements.
  ///
  /// Not applied: to dequantization, and to widening of stored f16 weights, since small weights would become large
  /// ones; to larger results; where no evaluator is at hand or it does not know the operator.
  public static let foldConstants = Pass(
    name: "fold-constants",
    summary: "Compute nodes whose operands are all constants."
  ) { (graph, context) throws(Refusal) in
    var changed = false
    var budget = graph.valueIDs.reduce(0) { Checked.sum($0, graph[$1].constant?.count ?? 0) ?? .max }
    for id in graph.order where isFoldable(id, graph, budget) {
      guard let results = try evaluate(id, graph, &context) else { continue }
      let outputs = graph[id].outputs
      if isCut(graph[id].op) { budget -= results.reduce(0) { $0 + $1.count } }
      graph.detach(id)
      for (output, tensor) in zip(outputs, results) {
        let name = graph[output].name
        let constant = graph.addConstant(graph.uniqueName("\(name).constant"), tensor)
        graph.replaceUses(of: output, with: constant)
        graph.rename(output, to: "\(name).replaced")
        graph.rename(constant, to: name)
      }
      changed = true
    }
    return changed
  }
}

/// Elements of a result that is not just rearranged.
private let largestResult = 65_536

/// Whether an operator cuts or joins constants.
private func isCut(_ op: Op) -> Bool {
  switch op {
  case .slice, .split, .concat: true
  default: false
  }
}

/// - Parameter budget: Most elements of the results of slices and joints.
private func isFoldable(_ id: NodeID, _ graph: Graph, _ budget: Int) -> Bool {
  let node = graph[id]
  guard !node.inputs.isEmpty, node.inputs.allSatisfy({ $0 == nil || graph.constant($0) != nil }) else {
    return false
  }
  switch node.op {
  case .dequantizeLinear, .dequantizeBias, .dequantizeBlocks, .quantizeLinear, .dynamicQuantize: return false
  case .cast(let op):
    guard let source = graph.constant(node.inputs[0]) else { return false }
    return op.to.size <= source.dtype.size || source.count <= 16
  case .reshape, .flatten, .squeeze, .unsqueeze: return true
  case .transpose: return node.inputs[0].map(graph.hasSingleUse) ?? false || isSmall(node, graph)
  case .conv, .convTranspose, .gemm, .matMul, .lstm, .gru, .batchNorm, .layerNorm, .globalPool, .reduce,
    .argMax, .unary,
    .hardSigmoid, .leakyRelu, .elu, .gelu, .compare, .where, .prelu, .softmax, .gather, .shape,
    .constantOfShape, .gatherElements, .gatherND, .scatterND, .cumSum, .tile,
    .range, .resize, .clip, .binary, .expand, .pad, .maxPool, .averagePool:
    return isSmall(node, graph)
  case .concat, .split, .slice:
    let counts = node.outputs.map { graph[$0].type.elementCount ?? budget }
    return isSmall(node, graph) || (counts.reduce(0) { Checked.sum($0, $1) ?? .max }) <= budget
  }
}

private func isSmall(_ node: Node, _ graph: Graph) -> Bool {
  node.outputs.allSatisfy { (graph[$0].type.elementCount ?? .max) <= largestResult }
}

/// The results of a node on constants; nil when they cannot be computed here.
private func evaluate(
  _ id: NodeID,
  _ graph: Graph,
  _ context: inout PassContext
) throws(Refusal) -> [Tensor]? {
  let node = graph[id]
  if let tensor = rearranged(node, graph) { return [tensor] }
  guard let evaluator = context.evaluate else { return nil }
  do throws(Refusal) {
    let results = try evaluator(node.op, node.inputs.map { graph.constant($0) })
    return results.count >= node.outputs.count ? results : nil
  } catch  where error.kind == .unsupported {
    context.missed(graph, id, "its constant result cannot be computed: \(error.problem)")
    return nil
  } catch { throw error.at(graph.label(of: id)) }
}

/// The operand under the result's shape, for nodes that only reshape.
private func rearranged(_ node: Node, _ graph: Graph) -> Tensor? {
  switch node.op {
  case .reshape, .flatten, .squeeze, .unsqueeze: break
  default: return nil
  }
  guard let shape = graph[node.outputs[0]].type.knownDims else { return nil }
  return graph.constant(node.inputs[0])?.reshaped(shape)
}
