import BinaryIO
import GraphIR

extension Pass {
  /// Replaces `clip(0, 6)` by relu, before calibration, when the policy is `swap`.
  ///
  /// Before:                                After:
  ///     %1 = clip(%x) {max = 6, min = 0}       %1 = relu(%x)
  ///
  /// This changes the function where `%x` exceeds 6; how far it did is reported when the ranges are used. The exact
  /// alternative is `clamp-relu6`.
  ///
  /// Not applied: with another policy; to the clip inside of a hard-swish or hard-sigmoid (with a remark), recognised or
  /// not: one whose operand is a value plus a single constant.
  public static let swapRelu6 = Pass(
    name: "swap-relu6",
    summary: "Replace ReLU6 by ReLU before calibration, for --relu6 swap."
  ) { (graph, context) in
    guard context.options.relu6 == .swap else { return false }
    var changed = false
    for id in graph.order {
      if isRelu6(graph[id].op) {
        guard !isShifted(graph[id].inputs[0], graph) else {
          context.missed(graph, id, "it is part of a hard-swish or hard-sigmoid, whose 6 carries meaning")
          continue
        }
        graph.setOp(.unary(Unary(.relu)), of: id)
      } else if let linear = LinearNode(graph, id), linear.activation == .clip(min: 0, max: 6) {
        graph.setOp(linear.op(with: .relu), of: id)
      } else {
        continue
      }
      context.swappedRelu6.insert(graph[graph.result(of: id)].name)
      context.remark(.applied, at: graph.label(of: id), "became relu; activations above 6 are no longer cut")
      changed = true
    }
    return changed
  }
}

/// Whether a value is another one plus a single constant.
private func isShifted(_ value: ValueID?, _ graph: Graph) -> Bool {
  guard let (_, node) = graph.producer(of: value), case .binary(let binary) = node.op, binary.kind == .add
  else { return false }
  return node.inputs.contains { graph.scalar($0) != nil }
}
