import BinaryIO
import Glibc
import GraphIR
import Quantization

/// A node whose channels can be divided by factors, and the linear nodes that can multiply them back.
struct SmoothingGroup {
  /// A linear node, with the source's channel that each of its input columns holds.
  struct User {
    let linear: LinearNode
    let channels: [Int]
  }

  /// A normalisation, or a linear node.
  let source: NodeID
  /// Channels of the source.
  let channels: Int
  let users: [User]
  /// Whether the source keeps other users, so that a copy of it is to be divided.
  private let isCopied: Bool
  private let flow: ChannelFlow

  /// The groups that a node is the source of.
  static func all(from id: NodeID, _ graph: Graph) -> [SmoothingGroup] {
    switch graph[id].op {
    case .layerNorm(let op):
      let value = graph.result(of: id)
      let rank = graph[value].type.rank
      guard op.axis == -1 || op.axis == rank - 1, let width = graph[value].type.dims.last?.value,
        graph.floats(graph[id].inputs[1], count: width) != nil,
        graph[id].inputs.count < 3 || graph[id].inputs[2] == nil
          || graph.floats(graph[id].inputs[2], count: width) != nil
      else { return [] }
      return normalization(id, width, graph).map { [$0] } ?? []
    case .gemm, .matMul:
      guard let linear = LinearNode(graph, id), linear.isPlainMatrix, linear.constantWeight(graph) != nil,
        graph.hasSingleUse(linear.weight), linear.biasValues(graph) != nil
      else { return [] }
      let flow = ChannelFlow(graph, from: graph.result(of: id), channels: linear.channels)
      return flow.uses.indices.compactMap { index in
        guard flow.isAlone(index), let user = user(flow.uses[index], graph), user.linear.id != id else {
          return nil
        }
        return SmoothingGroup(id, linear.channels, [user], isCopied: false, flow)
      }
    default: return []
    }
  }

  private init(_ source: NodeID, _ channels: Int, _ users: [User], isCopied: Bool, _ flow: ChannelFlow) {
    self.source = source
    self.channels = channels
    self.users = users
    self.isCopied = isCopied
    self.flow = flow
  }

  private static func normalization(_ id: NodeID, _ width: Int, _ graph: Graph) -> SmoothingGroup? {
    let value = graph.result(of: id)
    let flow = ChannelFlow(graph, from: value, channels: width)
    let users = flow.uses.map { user($0, graph) }
    let all = users.compactMap { $0 }
    let direct = all.filter { $0.linear.data == value }
    let isWhole = all.count == users.count
    let chosen = isWhole ? all : direct
    guard !chosen.isEmpty else { return nil }
    return SmoothingGroup(id, width, chosen, isCopied: !isWhole, flow)
  }

  /// The linear node at a use that reads channels as its columns.
  private static func user(_ use: ChannelFlow.Use, _ graph: Graph) -> User? {
    guard let node = use.node, use.operand == 0, use.labels.isLastAxis,
      let linear = LinearNode(graph, node), linear.isPlainRows, linear.constantWeight(graph) != nil,
      linear.terms == use.labels.channels.count, graph.hasSingleUse(linear.weight)
    else { return nil }
    return User(linear: linear, channels: use.labels.channels)
  }

  /// `max|x|^a / max|w|^(1 − a)` per channel of the source; 1 where a channel is dead.
  func factors(_ exponent: Float, _ samples: [ActivationSample], _ trials: [QuantizationTrial]) -> [Float] {
    var data = [Float](repeating: 0, count: channels)
    var weights = data
    for (user, (sample, trial)) in zip(users, zip(samples, trials)) {
      let levels = sample.levels
      for (column, channel) in user.channels.enumerated() {
        data[channel] = max(data[channel], levels[column])
        weights[channel] = max(weights[channel], trial.weightPeaks[column])
      }
    }
    // A channel that nothing multiplies would otherwise keep its range.
    let floor = 1e-3 * (weights.max() ?? 0)
    return zip(data, weights.map { max($0, floor) }).map { data, weight in
      guard data > 0, weight > 0 else { return 1 }
      let factor = Float(pow(Double(data), Double(exponent)) / pow(Double(weight), 1 - Double(exponent)))
      return factor.isFinite ? min(max(factor, 1e-5), 1e5) : 1
    }
  }

  /// Divides the source's channels, and multiplies the columns of the users' weights.
  func apply(
    _ factors: [Float],
    _ graph: inout Graph,
    _ context: inout PassContext
  ) throws(Refusal) {
    let inverse = factors.map { 1 / Double($0) }
    if let linear = LinearNode(graph, source), let weight = linear.constantWeight(graph) {
      try divide(linear, weight, inverse, &graph, &context)
    } else {
      try divideNormalization(inverse, &graph)
    }
    let samples = context.activations
    for user in users {
      let own = user.channels.map { factors[$0] }
      try multiply(user.linear, own, &graph, &context)
      if let sample = samples[user.linear.data] {
        context.activations[dataValue(of: user, graph)] = sample.divided(by: own)
      }
    }
    if !isCopied {
      flow.rename(Set(users.flatMap(\.channels)), suffix: ".smooth", except: nil, in: &graph)
    }
  }

  /// What a user reads now.
  private func dataValue(of user: User, _ graph: Graph) -> ValueID {
    graph[user.linear.id].inputs[0] ?? user.linear.data
  }

  private func divide(
    _ linear: LinearNode,
    _ weight: Tensor,
    _ inverse: [Double],
    _ graph: inout Graph,
    _ context: inout PassContext
  ) throws(Refusal) {
    let touched = Set(users.flatMap(\.channels))
    let own = inverse.indices.map { touched.contains($0) ? inverse[$0] : 1 }
    guard let scaled = try linear.scaledWeight(weight, by: own, in: context.allocator) else { return }
    weight.releasePages()
    graph.setConstant(scaled, of: linear.weight)
    guard linear.bias != nil, let bias = linear.biasValues(graph) else { return }
    let values = zip(bias, own).map { Float(Double($0) * $1) }
    let name = graph[graph.result(of: linear.id)].name
    let tensor = graph.addConstant(graph.uniqueName("\(name).bias"), try Tensor.floats(values))
    graph.setInputs([linear.data, linear.weight, tensor], of: linear.id)
  }

  private func divideNormalization(_ inverse: [Double], _ graph: inout Graph) throws(Refusal) {
    let node = graph[source]
    var inputs = node.inputs
    for operand in inputs.indices.dropFirst() {
      guard let values = graph.floats(inputs[operand], count: channels), let old = inputs[operand] else {
        continue
      }
      let scaled = zip(values, inverse).map { Float(Double($0) * $1) }
      let name = graph.uniqueName("\(graph[old].name).smooth")
      inputs[operand] = graph.addConstant(name, try Tensor.floats(scaled))
    }
    guard isCopied else {
      graph.setInputs(inputs, of: source)
      return
    }
    let value = graph.result(of: source)
    let copy = graph.addNode(
      node.op,
      name: node.name.isEmpty ? "" : "\(node.name).smooth",
      inputs: inputs,
      outputNames: ["\(graph[value].name).smooth"],
      outputTypes: [graph[value].type]
    )
    for user in users {
      graph.setInputs([graph.result(of: copy)] + graph[user.linear.id].inputs.dropFirst(), of: user.linear.id)
    }
  }

  private func multiply(
    _ linear: LinearNode,
    _ factors: [Float],
    _ graph: inout Graph,
    _ context: inout PassContext
  ) throws(Refusal) {
    guard let weight = linear.constantWeight(graph),
      let layout = ChannelLayout(weight, axis: linear.channelAxis == 0 ? 1 : 0)
    else { return }
    let scaled = try weight.scaled(
      layout,
      by: factors.map(Double.init),
      rowsPerGroup: max(1, layout.outer),
      in: context.allocator
    )
    weight.releasePages()
    graph.setConstant(scaled, of: linear.weight)
  }
}
