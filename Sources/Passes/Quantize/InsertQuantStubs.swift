import BinaryIO
import GraphIR
import Quantization

extension Pass {
  /// Quantizes what integer operators read, by calibrated ranges.
  ///
  /// Before:                        After:
  ///     %1 = conv(%x, %w)              %x.q = quantize_linear(%x, %x.scale, %x.zero_point)
  ///     %2 = conv(%1, %v)              %x.dq = dequantize_linear(%x.q, %x.scale, %x.zero_point)
  ///     output %2                      %1 = conv(%x.dq, %w)
  ///                                    %1.q = quantize_linear(%1, ...)
  ///                                    %1.dq = dequantize_linear(%1.q, ...)
  ///                                    %2 = conv(%1.dq, %v)
  ///                                    output %2
  ///
  /// A value gets one quantizer however many users it has. Where it comes from an integer operator, float users read the
  /// dequantized value too, so that the operator needs to make only one; otherwise they keep the float one, as nodes that are
  /// kept in float always do. Pooling by maximum, reshaping and joining keep the range. Outputs of the graph are float: the last
  /// layer's accumulators are widened without rounding to 8 bits.
  ///
  /// Not applied (with a remark): to linear operators with computed weights, alpha or beta, more products than an accumulator
  /// holds, and to grouped transposed convolutions; to nodes that are kept in float. A value without a calibrated range is refused.
  public static let insertQuantStubs = Pass(
    name: "insert-quant-stubs",
    summary: "Quantize the inputs of integer operators by calibrated ranges."
  ) { (graph, context) throws(Refusal) in
    let regions = IntegerRegions(graph, keeping: Set(context.kept.keys))
    let observed = context.kept.isEmpty ? regions : IntegerRegions(graph)
    for (node, reason) in regions.excluded { context.missed(graph, node, reason) }
    guard !regions.quantized.isEmpty else { return false }
    guard let ranges = context.ranges else {
      throw Refusal(
        .usage,
        at: "activations",
        rule: "K7",
        "have no calibrated ranges",
        remedy: "calibrate with --calibrate DATA, or use --dynamic"
      )
    }
    var stubs: [ValueID: Stub] = [:]
    for value in regions.observed {
      stubs[value] = try makeStub(value, observed.origin(of: value), ranges, &graph, &context)
    }
    for value in regions.quantized {
      guard let stub = stubs[regions.origin(of: value)] else { continue }
      insert(stub, at: value, regions.nodes, context.kept, &graph)
    }
    return true
  }
}

/// The constants of a quantizer.
private struct Stub {
  let scale: ValueID
  let zeroPoint: ValueID
}

/// - Parameter origin: The value whose range was observed where that of `value` was not.
private func makeStub(
  _ value: ValueID,
  _ origin: ValueID,
  _ ranges: ActivationRanges,
  _ graph: inout Graph,
  _ context: inout PassContext
) throws(Refusal) -> Stub {
  let name = graph[value].name
  guard let entry = ranges[name] ?? ranges[graph[origin].name] else {
    throw Refusal(
      .invalid,
      at: "value \(Refusal.quoted(name))",
      rule: "K7",
      "has no calibrated range",
      remedy: "calibrate this model again; the statistics belong to another one"
    )
  }
  let params: QuantParams
  do { params = try QuantParams.uint8(covering: entry.range) } catch {
    throw error.at("value \(Refusal.quoted(name))")
  }
  if context.swappedRelu6.contains(name), entry.high > 6 {
    context.remark(
      .warning,
      at: "value \(Refusal.quoted(name))",
      "reached \(entry.high) in calibration where ReLU6 would have cut at 6"
    )
  }
  let scale = graph.addConstant(graph.uniqueName("\(name).scale"), try Tensor.floats([params.scale], []))
  let zeroPoint = graph.addConstant(
    graph.uniqueName("\(name).zero_point"),
    try Tensor.make(.uint8, [], [UInt8(params.zeroPoint)])
  )
  return Stub(scale: scale, zeroPoint: zeroPoint)
}

/// Quantizes a value and lets its integer users, or all but the kept ones if it comes from an integer node, read the result.
private func insert(
  _ stub: Stub,
  at value: ValueID,
  _ integerNodes: Set<NodeID>,
  _ kept: [NodeID: FloatFormat],
  _ graph: inout Graph
) {
  let (name, type) = (graph[value].name, graph[value].type)
  let quantize = graph.addNode(
    .quantizeLinear(QuantizeLinear()),
    inputs: [value, stub.scale, stub.zeroPoint],
    outputNames: ["\(name).q"],
    outputTypes: [TensorType(.uint8, type.dims)]
  )
  let dequantize = graph.addNode(
    .dequantizeLinear(DequantizeLinear()),
    inputs: [graph.result(of: quantize), stub.scale, stub.zeroPoint],
    outputNames: ["\(name).dq"],
    outputTypes: [type]
  )
  let widened = graph.result(of: dequantize)
  if let producer = graph[value].producer, integerNodes.contains(producer) {
    let isOutput = graph.isOutput(value)
    let readers = graph.users(of: value).filter { kept[$0] != nil }
    graph.replaceUses(of: value, with: widened, except: quantize)
    for reader in readers { replace(widened, by: value, in: reader, &graph) }
    if isOutput {
      graph.rename(value, to: "\(name).float")
      graph.rename(widened, to: name)
    }
    return
  }
  var done: Set<NodeID> = []
  for user in graph.users(of: value) where integerNodes.contains(user) && done.insert(user).inserted {
    replace(value, by: widened, in: user, &graph)
  }
}

private func replace(_ old: ValueID, by new: ValueID, in user: NodeID, _ graph: inout Graph) {
  graph.setInputs(graph[user].inputs.map { $0 == old ? new : $0 }, of: user)
}
