import BinaryIO
import GraphIR
import Quantization

extension Pass {
  /// Stores the matrices of recurrent operators as i8 and lets their states be quantized by their own range in every step.
  ///
  /// Before:                                    After:
  ///     %r = constant f32[1024, 256]               %r = constant i8[1024, 256]
  ///     %y, %h, %c = lstm(%gates, %r)              %r.dq = dequantize_linear(%r, %r.scale) {axis = 0}
  ///                                                %y, %h, %c = lstm(%gates, %r.dq) {dynamic = 1}
  ///
  /// The gates, a matrix product of all inputs, are quantized as any other. The state stays dynamic also where other ranges
  /// are calibrated: an error of its range would feed back through all steps. Where only weights are quantized, it
  /// stays float, as in nodes that are kept with an i8 weight.
  ///
  /// Not applied (with a remark): to a matrix that is computed or also something else, or longer than an accumulator
  /// allows; to nodes that keep a float weight. NaN and infinity are refused.
  public static let quantizeRecurrences = Pass(
    name: "quantize-recurrences",
    summary: "Store matrices of recurrent operators as i8; their states are quantized step by step."
  ) { (graph, context) throws(Refusal) in
    var done: Set<ValueID> = []
    var changed = false
    for id in graph.order {
      guard let node = RecurrentNode(graph, id), done.insert(node.weight).inserted else { continue }
      if let reason = obstacle(node, graph, context) {
        context.missed(graph, id, reason)
        continue
      }
      do throws(Refusal) { try quantize(node, &graph, &context) } catch {
        throw error.at("constant \(Refusal.quoted(graph[node.weight].name))")
      }
      changed = true
    }
    return changed
  }
}

/// Why the matrix of a recurrent operator is not quantized.
private func obstacle(_ node: RecurrentNode, _ graph: Graph, _ context: PassContext) -> String? {
  guard node.constantWeight(graph) != nil else { return "the weight of its state is not a constant" }
  guard let users = RecurrentNode.users(of: node.weight, graph) else {
    return "the weight of its state is also something else"
  }
  guard users.allSatisfy({ context.storesBytes($0.id) }) else { return "it is kept in float" }
  return node.hidden <= AccumulatorBound.terms ? nil : "its sums would overflow the accumulator (K5)"
}

private func quantize(
  _ node: RecurrentNode,
  _ graph: inout Graph,
  _ context: inout PassContext
) throws(Refusal) {
  guard let tensor = node.constantWeight(graph) else { return }
  let weight = node.weight
  let (name, type) = (graph[weight].name, graph[weight].type)
  let users = graph.users(of: weight)
  let axis = context.options.granularity == .perChannel ? 0 : nil
  let result = try WeightQuantizer.quantize(tensor, axis: axis, in: context.allocator)
  tensor.releasePages()
  result.values.releasePages()
  graph.setConstant(result.values, of: weight)
  let scale = graph.addConstant(graph.uniqueName("\(name).scale"), result.scales)
  let dequantize = graph.addNode(
    .dequantizeLinear(DequantizeLinear(axis: axis)),
    inputs: [weight, scale],
    outputNames: [graph.uniqueName("\(name).dq")],
    outputTypes: [type]
  )
  let widened = graph.result(of: dequantize)
  graph.replaceUses(of: weight, with: widened, except: dequantize)
  guard context.options.activations != .none else { return }
  for user in users where context.kept[user] == nil {
    guard let node = RecurrentNode(graph, user) else { continue }
    graph.setOp(node.dynamicOp, of: user)
    if context.options.activations == .static {
      context.remark(
        .applied,
        at: graph.label(of: user),
        "its state is quantized by its own range in every step"
      )
    }
  }
}
