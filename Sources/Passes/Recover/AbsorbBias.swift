import BinaryIO
import GraphIR

extension Pass {
  /// Takes what a channel always has out of its range, by BatchNorm's statistics.
  ///
  /// Before:                            After:
  ///     %1 = relu(conv(%x, W1, b1))        %1 = relu(conv(%x, W1, b1 − c))
  ///     %2 = conv(%1, W2, b2)              %2 = conv(%1, W2, b2 + W2 c)
  ///
  /// with `c = max(0, mean − 3 deviations)` of each channel before the relu: `relu(x − c) + c` is `relu(x)` wherever `x >= c`, which is
  /// all but a thousandth of a normal distribution. A range then needs to cover only what varies.
  ///
  /// Not applied: to layers that BatchNorm tells nothing of; across other activations than relu; where the second layer pads, since
  /// padding has no `c`; where the value between has another user or is an output.
  public static let absorbBias = Pass(
    name: "absorb-bias",
    summary: "Move what channels always have into the next layer's bias, for --equalize."
  ) { (graph, context) throws(Refusal) in
    guard context.options.equalizes else { return false }
    var changed = false
    for id in graph.order {
      guard let own = context.normalized[id], let first = LinearNode(graph, id), first.activation == .relu,
        let (user, _) = graph.onlyUser(of: graph.result(of: id)), let second = LinearNode(graph, user),
        second.data == graph.result(of: id), second.isUnpadded
      else { continue }
      let shifts = zip(own.means, own.deviations).map { max(0, $0 - 3 * $1) }
      guard shifts.contains(where: { $0 > 0 }),
        try move(shifts, from: first, to: second, &graph)
      else { continue }
      context.normalized[id]?.means = zip(own.means, shifts).map { $0 - $1 }
      let count = shifts.count { $0 > 0 }
      context.remark(.applied, at: graph.label(of: id), "\(count) channels lost what they always have")
      changed = true
    }
    return changed
  }
}

/// - Returns: Whether weights and biases are such that both biases could be changed.
private func move(
  _ shifts: [Double],
  from first: LinearNode,
  to second: LinearNode,
  _ graph: inout Graph
) throws(Refusal) -> Bool {
  guard let before = first.biasValues(graph), let after = second.biasValues(graph),
    let weight = second.constantWeight(graph), before.count == shifts.count,
    let patch = second.patchMeans(shifts, graph)
  else { return false }
  let values = weight.elements(as: Float.self).map(Double.init)
  let sums = second.products(of: values, with: patch)
  try first.setBias(zip(before, shifts).map { Float(Double($0) - $1) }, in: &graph)
  try second.setBias(zip(after, sums).map { Float(Double($0) + $1) }, in: &graph)
  return true
}

extension LinearNode {
  /// Whether every product has data, none being padding.
  fileprivate var isUnpadded: Bool {
    switch op {
    case .conv(let op): op.pads.allSatisfy { $0 == 0 }
    case .gemm(let op): op.alpha == 1 && op.beta == 1 && !op.transA
    default: false
    }
  }
}
