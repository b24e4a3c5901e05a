import BinaryIO
import GraphIR
import Quantization

extension Pass {
  /// Stores the weights of convolutions and matrix products as i8, per tensor or per output channel.
  ///
  /// Before:                        After:
  ///     %w = constant f32[64, 3, 7, 7]     %w = constant i8[64, 3, 7, 7]
  ///     %1 = conv(%x, %w)                  %w.dq = dequantize_linear(%w, %w.scale) {axis = 0}
  ///                                        %1 = conv(%x, %w.dq)
  ///
  /// A shared weight is stored once; per channel only if all its users have their channels on the same axis. Where the data is
  /// quantized statically, scales have a floor so that every bias fits beside the sum of products.
  ///
  /// Not applied to nodes that keep a float weight, and (with a remark) to a constant that is also something other than a
  /// weight; to one with quantized data and more products per output than an accumulator holds. NaN and infinity are refused.
  public static let quantizeWeights = Pass(
    name: "quantize-weights",
    summary: "Store the weights of convolutions and matrix products as i8."
  ) { (graph, context) throws(Refusal) in
    var changed = false
    for id in graph.order {
      guard let linear = LinearNode(graph, id), linear.constantWeight(graph) != nil,
        !linear.staysFloat(context.options), context.storesBytes(id)
      else { continue }
      do throws(Refusal) {
        if try quantize(linear.weight, &graph, &context) { changed = true }
      } catch {
        throw error.at("constant \(Refusal.quoted(graph[linear.weight].name))")
      }
    }
    return changed
  }
}

private func quantize(
  _ weight: ValueID,
  _ graph: inout Graph,
  _ context: inout PassContext
) throws(Refusal) -> Bool {
  let name = graph[weight].name
  let place = "constant \(Refusal.quoted(name))"
  guard let users = linearUsers(of: weight, graph),
    users.allSatisfy({ context.storesBytes($0.id) }),
    let first = users.first,
    let tensor = first.constantWeight(graph)
  else {
    context.remark(
      .missed,
      at: place,
      "it is not only a weight, or its sums would overflow the accumulator (K5)"
    )
    return false
  }
  var axis = context.options.granularity == .perChannel ? first.channelAxis : nil
  if axis != nil, users.contains(where: { $0.channelAxis != axis || $0.channels != first.channels }) {
    context.remark(.missed, at: place, "has one scale, since its users have their channels on different axes")
    axis = nil
  }
  let result = try WeightQuantizer.quantize(
    tensor,
    axis: axis,
    floors: scaleFloors(users, graph),
    choosing: context.options.weightScales,
    in: context.allocator
  )
  tensor.releasePages()
  result.values.releasePages()
  if result.raised > 0 {
    context.remark(.applied, at: place, "\(result.raised) nearly dead channels got a larger scale (K1, K4)")
  }
  let type = graph[weight].type
  graph.setConstant(result.values, of: weight)
  let scale = graph.addConstant(graph.uniqueName("\(name).scale"), result.scales)
  let dequantize = graph.addNode(
    .dequantizeLinear(DequantizeLinear(axis: axis)),
    inputs: [weight, scale],
    outputNames: ["\(name).dq"],
    outputTypes: [type]
  )
  graph.replaceUses(of: weight, with: graph.result(of: dequantize), except: dequantize)
  return true
}

/// The linear nodes that use a weight as such; nil if anything else uses it.
private func linearUsers(of weight: ValueID, _ graph: Graph) -> [LinearNode]? {
  var result: [LinearNode] = []
  var seen: Set<NodeID> = []
  guard !graph.isOutput(weight) else { return nil }
  for user in graph.users(of: weight) where seen.insert(user).inserted {
    guard let linear = LinearNode(graph, user), linear.weight == weight,
      graph[user].inputs.count(where: { $0 == weight }) == 1,
      linear.terms <= AccumulatorBound.terms || linear.staticInputScale(graph) == nil
    else { return nil }
    result.append(linear)
  }
  return result
}

/// The least scale of each channel at which the biases of all statically quantized users fit; empty: no such user.
private func scaleFloors(_ users: [LinearNode], _ graph: Graph) -> [Float] {
  var floors: [Float] = []
  for user in users {
    guard let inputScale = user.staticInputScale(graph), user.integerSumObstacle(graph) == nil else {
      continue
    }
    let own = BiasQuantizer.weightScaleFloors(
      bias: user.biasValues(graph),
      channels: user.channels,
      inputScale: inputScale,
      terms: user.terms
    )
    floors = floors.isEmpty ? own : zip(floors, own).map(max)
  }
  return floors
}

extension LinearNode {
  /// The constant scale of the data, where it comes from a static quantizer.
  func staticInputScale(_ graph: Graph) -> Float? {
    guard let (_, node) = graph.producer(of: data), case .dequantizeLinear = node.op else { return nil }
    return graph.scalar(node.inputs[1])
  }
}
