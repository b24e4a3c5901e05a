import BinaryIO
import GraphIR
import Quantization

extension Pass {
  /// Stores biases as i32 at the scale of the accumulators they are added to.
  ///
  /// Before:                               After:
  ///     %1 = conv(%x.dq, %w.dq, %b)           %b.dq = dequantize_bias(%b, %x.scale, %w.scale)
  ///                                           %1 = conv(%x.dq, %w.dq, %b.dq)
  ///
  /// with `%b` as i32: `rne(b / (x_scale · w_scale))`. No third scale is stored.
  ///
  /// Not applied: the data or the weight is not quantized by constants; the bias is not one value per channel.
  public static let quantizeBias = Pass(
    name: "quantize-bias",
    summary: "Store biases as i32 at the scale of their accumulators.",
    requires: ["insert-quant-stubs", "quantize-weights"]
  ) { (graph, _) throws(Refusal) in
    var changed = false
    for id in graph.order {
      guard let linear = LinearNode(graph, id), let bias = linear.bias else { continue }
      do throws(Refusal) {
        if try quantize(bias, of: linear, &graph) { changed = true }
      } catch {
        throw error.at("constant \(Refusal.quoted(graph[bias].name))")
      }
    }
    return changed
  }
}

private func quantize(
  _ bias: ValueID,
  of linear: LinearNode,
  _ graph: inout Graph
) throws(Refusal) -> Bool {
  guard let inputScale = linear.staticInputScale(graph), linear.integerSumObstacle(graph) == nil,
    let data = graph.producer(of: linear.data)?.node.inputs[1],
    let (_, weight) = graph.producer(of: linear.weight), case .dequantizeLinear = weight.op,
    weight.inputs.count == 2 || weight.inputs[2] == nil, let weightScale = weight.inputs[1],
    let scales = graph.constant(weightScale)?.floatValues(),
    scales.count == 1 || scales.count == linear.channels, let values = linear.biasValues(graph)
  else { return false }
  let tensor = try BiasQuantizer.quantize(
    values,
    inputScale: inputScale,
    weightScales: scales,
    terms: linear.terms
  )
  let name = graph[bias].name
  let stored: ValueID
  if graph.hasSingleUse(bias) {
    graph.setConstant(tensor, of: bias)
    stored = bias
  } else {
    stored = graph.addConstant(graph.uniqueName("\(name).i32"), tensor)
  }
  let dequantize = graph.addNode(
    .dequantizeBias(DequantizeBias()),
    inputs: [stored, data, weightScale],
    outputNames: ["\(name).dq"],
    outputTypes: [TensorType(.float32, known: [linear.channels])]
  )
  graph.setInputs([linear.data, linear.weight, graph.result(of: dequantize)], of: linear.id)
  return true
}
