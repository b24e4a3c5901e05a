import BinaryIO
import Glibc
import GraphIR
import Quantization

extension Pass {
  /// Rounds weights in blocks so that their errors cancel on calibration data.
  ///
  /// Before:                                     After:
  ///     %w.f32 = dequantize_blocks(nearest(W))      %w.f32 = dequantize_blocks(compensated(W))
  ///     %1 = gemm(%x, %w.f32, %b)                   %1 = gemm(%x, %w.f32, %b')
  ///
  /// The error counted is that of the outputs' deviations from their means; the bias `b' = b + (W − Ŵ) E[x]` then mends the
  /// means. Without a bias it is that of the outputs.
  ///
  /// Not applied: to layers without calibration evidence; where the error does not become less (with a remark).
  public static let roundBlocks = Pass(
    name: "round-blocks",
    summary: "Let rounding errors of weights in blocks cancel on calibration data (--rounding gptq).",
    requires: ["quantize-blocks"]
  ) { (graph, context) throws(Refusal) in
    var changed = false
    for id in graph.order {
      guard let evidence = context.blockEvidence[id] else { continue }
      if try round(id, evidence, &graph, &context) { changed = true }
    }
    return changed
  }
}

private func round(
  _ id: NodeID,
  _ evidence: BlockEvidence,
  _ graph: inout Graph,
  _ context: inout PassContext
) throws(Refusal) -> Bool {
  guard let linear = LinearNode(graph, id), let (widening, node) = graph.producer(of: linear.weight),
    case .dequantizeBlocks(let op) = node.op, let stored = node.inputs[0], let scales = node.inputs[1],
    graph.hasSingleUse(stored), graph.hasSingleUse(scales), evidence.moments.count > 0
  else { return false }
  let rounding = CompensatedBlocks(
    covariance: evidence.moments.covariance(isCentred: evidence.bias != nil),
    length: linear.terms,
    BlockQuantizer(bits: op.bits, block: op.block)
  )
  let result = try rounding.round(evidence.weight, isTransposed: op.isTransposed, in: context.allocator)
  guard let result, result.error < result.nearestError else {
    context.missed(graph, id, "compensation does not lower the error of rounding")
    return false
  }
  graph.setConstant(result.weight.values, of: stored)
  graph.setConstant(result.weight.scales, of: scales)
  if let bias = evidence.bias {
    let values = evidence.weight.elements(as: Float.self)
    let mended = mend(bias, values, result.values, op.isTransposed, evidence.moments.mean)
    let name = graph.uniqueName("\(graph[graph.result(of: widening)].name).bias")
    let tensor = graph.addConstant(name, try Tensor.floats(mended))
    graph.setInputs([linear.data, linear.weight, tensor], of: id)
  }
  let gain = 10 * log10(result.nearestError / max(result.error, .leastNormalMagnitude))
  let text = "the error of rounding is \((gain * 10).rounded() / 10) dB lower on calibration data"
  context.remark(.applied, at: graph.label(of: id), text)
  return true
}

/// `b + (W − Ŵ) E[x]`.
private func mend(
  _ bias: [Float],
  _ weight: [Float],
  _ rounded: [Float],
  _ isTransposed: Bool,
  _ mean: [Double]
) -> [Float] {
  let (rows, depth) = (bias.count, mean.count)
  return bias.indices.map { row in
    var sum = Double(bias[row])
    for column in 0..<depth {
      let own = weight[isTransposed ? column * rows + row : row * depth + column]
      sum += (Double(own) - Double(rounded[row * depth + column])) * mean[column]
    }
    return Float(sum)
  }
}
