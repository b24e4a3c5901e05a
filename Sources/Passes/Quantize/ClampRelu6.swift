import GraphIR
import Quantization

extension Pass {
  /// Replaces `clip(0, c)` by relu where the quantization behind it cuts at the same place.
  ///
  /// Before:                                        After:
  ///     %1 = conv(%x, %w) {activation = "clip",        %1 = conv(%x, %w) {activation = "relu"}
  ///          activation_params = [0, 6]}
  ///     %2 = quantize_linear(%1, %scale, %zp)          %2 = quantize_linear(%1, %scale, %zp)
  ///
  /// Exact: where the integer for `c` is the greatest one, all greater numbers saturate to it anyway.
  ///
  /// Not applied: the policy is not `clamp`; the range reaches beyond `c`; the value has other users than the quantizer.
  public static let clampRelu6 = Pass(
    name: "clamp-relu6",
    summary: "Let saturation do the upper bound of ReLU6, for --relu6 clamp; exact.",
    requires: ["insert-quant-stubs"]
  ) { (graph, context) in
    guard context.options.relu6 == .clamp else { return false }
    var changed = false
    for id in graph.order {
      guard let (op, limit) = withoutLimit(id, graph), let user = graph.onlyUser(of: graph.result(of: id)),
        let params = quantizer(user.node, graph)
      else { continue }
      guard params.quantize(limit) == params.quantize(.infinity) else {
        context.missed(graph, id, "the quantized range reaches \(params.range.upperBound), beyond \(limit)")
        continue
      }
      graph.setOp(op, of: id)
      changed = true
    }
    return changed
  }
}

/// The operator with relu in the place of a clip from 0, and the clip's upper bound.
private func withoutLimit(_ id: NodeID, _ graph: Graph) -> (Op, Float)? {
  if case .clip(let clip) = graph[id].op, clip.min == 0, clip.max > 0 {
    return (.unary(Unary(.relu)), clip.max)
  }
  guard let linear = LinearNode(graph, id), case .clip(min: 0, let max) = linear.activation, max > 0 else {
    return nil
  }
  return (linear.op(with: .relu), max)
}

/// The constant parameters of a quantize_linear node.
private func quantizer(_ node: Node, _ graph: Graph) -> QuantParams? {
  guard case .quantizeLinear(let op) = node.op, op.axis == nil, let scale = graph.scalar(node.inputs[1]),
    let zeroPoint = graph.constant(node.inputs[2]), let value = zeroPoint.intValues()?.first
  else { return nil }
  return try? QuantParams(scale: scale, zeroPoint: value, dtype: zeroPoint.dtype)
}
