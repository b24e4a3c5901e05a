import BinaryIO
import GraphIR
import Quantization

extension Pass {
  /// Makes biases anticipate what rounding the weights will do to the means of outputs, without data.
  ///
  /// Before:                         After:
  ///     %1 = conv(%x, %w, %b)           %1 = conv(%x, %w, %b')
  ///
  /// with `b' = b + (W − Ŵ) E[x]`, `Ŵ` being the weight as `quantize-weights` will store it and `E[x]` what BatchNorm tells of the
  /// layers before: the mean of a normal distribution behind their activations.
  ///
  /// Not applied: to layers whose data's statistics do not follow from BatchNorm, such as the first; to matmuls, which have no bias,
  /// and layers that keep a float weight.
  public static let correctBiasFromStatistics = Pass(
    name: "correct-bias-from-statistics",
    summary: "Undo what rounding weights does to the means of outputs, by BatchNorm's statistics."
  ) { (graph, context) throws(Refusal) in
    guard context.options.correctsFromStatistics, !context.normalized.isEmpty else { return false }
    var changed = false
    for id in graph.order where context.storesBytes(id) {
      guard let linear = LinearNode(graph, id), linear.takesCorrection,
        let statistics = ChannelStatistics(of: linear.data, graph, outputs: context.normalized),
        let means = linear.patchMeans(statistics.means, graph)
      else { continue }
      if try correct(linear, means, &graph, &context) { changed = true }
    }
    return changed
  }
}

private func correct(
  _ linear: LinearNode,
  _ means: [Double],
  _ graph: inout Graph,
  _ context: inout PassContext
) throws(Refusal) -> Bool {
  guard let weight = linear.constantWeight(graph), var bias = linear.biasValues(graph) else { return false }
  let axis = context.options.granularity == .perChannel ? linear.channelAxis : nil
  let quantized = try WeightQuantizer.quantize(weight, axis: axis, choosing: context.options.weightScales)
  let integers = quantized.values.elements(as: Int8.self)
  let scales = quantized.scales.elements(as: Float.self)
  var errors = weight.elements(as: Float.self).map(Double.init)
  guard let layout = ChannelLayout(weight, axis: axis) else { return false }
  for index in errors.indices {
    errors[index] -= Double(integers[index]) * Double(scales[index / layout.inner % layout.channels])
  }
  let shifts = linear.products(of: errors, with: means)
  let largest = shifts.reduce(0) { max($0, abs($1)) }
  guard largest > 0 else { return false }
  for channel in bias.indices { bias[channel] += Float(shifts[channel]) }
  try linear.setBias(bias, in: &graph)
  context.remark(.applied, at: graph.label(of: linear.id), "moved the bias by at most \(Float(largest))")
  return true
}

extension LinearNode {
  /// Whether the node is one that gets a bias that undoes rounding.
  fileprivate var takesCorrection: Bool {
    switch op {
    case .conv: true
    case .gemm(let op): op.alpha == 1 && op.beta == 1 && !op.transA
    default: false
    }
  }
}
