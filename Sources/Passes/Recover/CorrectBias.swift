import BinaryIO
import GraphIR
import Quantization

extension Pass {
  /// Moves the mean of every output of a linear layer back to where it was in float.
  ///
  /// Before:                                     After:
  ///     %1 = conv(%x.dq, %w.dq, %b.dq)              %1 = conv(%x.dq, %w.dq, %b'.dq)
  ///
  /// with `b' = b + W E[x] − Ŵ E[y]`, `x` being what the float layer read on calibration data and `y` what the
  /// quantized one reads, so that what earlier layers shifted is mended, too.
  ///
  /// Not applied: to layers without calibration evidence or a bias; where the new bias does not fit (with a remark).
  public static let correctBias = Pass(
    name: "correct-bias",
    summary: "Undo what quantization did to the means of outputs, for --bias-correction.",
    requires: ["quantize-bias"]
  ) { (graph, context) throws(Refusal) in
    var changed = false
    for id in graph.order {
      guard let evidence = context.evidence[id], let layer = QuantizedLayer(graph, id), layer.takesBias
      else { continue }
      if try layer.correctBias(evidence, &graph, &context) { changed = true }
    }
    return changed
  }
}

extension QuantizedLayer {
  /// Sets the corrected bias and remarks how far it moved.
  func correctBias(
    _ evidence: LayerEvidence,
    _ graph: inout Graph,
    _ context: inout PassContext
  ) throws(Refusal) -> Bool {
    let bias = correctedBias(evidence, graph)
    let before = storedBias(graph)
    guard try setBias(bias, in: &graph) else {
      context.missed(graph, id, "the corrected bias does not fit the accumulator (K5)")
      return false
    }
    guard before != storedBias(graph) else { return false }
    let shift = zip(bias, evidence.bias).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
    context.remark(.applied, at: graph.label(of: id), "moved the bias by at most \(shift)")
    return true
  }

  /// The i32 or f32 bias, as stored; nil where there is none.
  private func storedBias(_ graph: Graph) -> [UInt32]? {
    let inputs = graph[id].inputs
    guard inputs.count > 2 else { return nil }
    let stored = graph.producer(of: inputs[2])?.node.inputs[0] ?? inputs[2]
    guard let tensor = graph.constant(stored), tensor.dtype == .int32 || tensor.dtype == .float32 else {
      return nil
    }
    return tensor.elements(as: UInt32.self)
  }
}
