import GraphIR

extension Pass {
  /// Quantizes the data of convolutions and matrix products by its own range while the model runs.
  ///
  /// Before:                        After:
  ///     %1 = conv(%x, %w, %b)          %x.q, %x.scale, %x.zero_point = dynamic_quantize(%x)
  ///                                    %x.dq = dequantize_linear(%x.q, %x.scale, %x.zero_point)
  ///                                    %1 = conv(%x.dq, %w, %b)
  ///
  /// One quantizer serves all linear users of a value; other users keep the float value. The bias stays f32, since its scale
  /// is not known before.
  ///
  /// Not applied (with a remark): to the operators that `insert-quant-stubs` leaves out, and to transposed
  /// convolutions.
  public static let insertDynamicQuant = Pass(
    name: "insert-dynamic-quant",
    summary: "Quantize the inputs of linear operators by their own range at run time."
  ) { (graph, context) in
    var widened: [ValueID: ValueID] = [:]
    for id in graph.order {
      guard let linear = LinearNode(graph, id) else { continue }
      if let reason = linear.integerObstacle(graph, isDynamic: true) {
        context.missed(graph, id, reason)
        continue
      }
      let data = widened[linear.data] ?? insertQuantizer(linear.data, &graph)
      widened[linear.data] = data
      graph.setInputs([data] + graph[id].inputs.dropFirst(), of: id)
    }
    return !widened.isEmpty
  }
}

/// The dequantized form of a value.
private func insertQuantizer(_ value: ValueID, _ graph: inout Graph) -> ValueID {
  let (name, type) = (graph[value].name, graph[value].type)
  let quantize = graph.addNode(
    .dynamicQuantize(DynamicQuantize()),
    inputs: [value],
    outputNames: ["\(name).q", "\(name).scale", "\(name).zero_point"],
    outputTypes: [TensorType(.uint8, type.dims), TensorType(.float32, []), TensorType(.uint8, [])]
  )
  let dequantize = graph.addNode(
    .dequantizeLinear(DequantizeLinear()),
    inputs: graph[quantize].outputs,
    outputNames: ["\(name).dq"],
    outputTypes: [type]
  )
  return graph.result(of: dequantize)
}
