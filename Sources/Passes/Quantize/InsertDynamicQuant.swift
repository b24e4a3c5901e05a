import GraphIR

extension Pass {
  /// Quantizes the data of convolutions and matrix products by its own range while the model runs.
  ///
  /// Before:                        After:
  ///     %1 = conv(%x, %w, %b)          %x.q, %x.scale, %x.zero_point = dynamic_quantize(%x)
  ///                                    %x.dq = dequantize_linear(%x.q, %x.scale, %x.zero_point)
  ///                                    %1 = conv(%x.dq, %w, %b)
  ///
  /// With a granularity per row, the rows of a matrix product have a range each, and convolutions stay in
  /// float: in a transformer that is the patch embedding, half a percent of the weights that costs half a decibel.
  ///
  /// One quantizer serves all linear users of a value; other users keep the float value. The bias stays f32, since its scale
  /// is not known before.
  ///
  /// Not applied (with a remark): to the operators that `insert-quant-stubs` leaves out, to transposed
  /// convolutions, and to nodes that are kept in float.
  public static let insertDynamicQuant = Pass(
    name: "insert-dynamic-quant",
    summary: "Quantize the inputs of linear operators by their own range at run time."
  ) { (graph, context) in
    var widened: [Quantizer: ValueID] = [:]
    for id in graph.order {
      guard let linear = LinearNode(graph, id) else { continue }
      if let reason = linear.integerObstacle(graph, isDynamic: true) {
        context.missed(graph, id, reason)
        continue
      }
      guard context.kept[id] == nil else {
        context.missed(graph, id, "it is kept in float")
        continue
      }
      guard !linear.staysFloat(context.options) else {
        context.missed(graph, id, "it has no rows to quantize one by one")
        continue
      }
      let perRow = context.options.activationGranularity == .perRow
      let quantizer = Quantizer(value: linear.data, perRow: perRow)
      let data = widened[quantizer] ?? insert(quantizer, &graph)
      widened[quantizer] = data
      graph.setInputs([data] + graph[id].inputs.dropFirst(), of: id)
    }
    return !widened.isEmpty
  }
}

private struct Quantizer: Hashable {
  let value: ValueID
  let perRow: Bool
}

extension LinearNode {
  /// Whether it is left in float: a convolution where data are quantized per row.
  func staysFloat(_ options: PassOptions) -> Bool {
    guard options.activations == .dynamic, options.activationGranularity == .perRow else { return false }
    switch op {
    case .gemm, .matMul: return false
    default: return true
    }
  }
}

/// The dequantized form of a value.
private func insert(_ quantizer: Quantizer, _ graph: inout Graph) -> ValueID {
  let value = quantizer.value
  let (name, type) = (graph[value].name, graph[value].type)
  let rows = quantizer.perRow ? type.dims.dropLast() + [1] : []
  let quantize = graph.addNode(
    .dynamicQuantize(DynamicQuantize(perRow: quantizer.perRow)),
    inputs: [value],
    outputNames: ["\(name).q", "\(name).scale", "\(name).zero_point"],
    outputTypes: [TensorType(.uint8, type.dims), TensorType(.float32, rows), TensorType(.uint8, rows)]
  )
  let dequantize = graph.addNode(
    .dequantizeLinear(DequantizeLinear()),
    inputs: graph[quantize].outputs,
    outputNames: ["\(name).dq"],
    outputTypes: [type]
  )
  return graph.result(of: dequantize)
}
