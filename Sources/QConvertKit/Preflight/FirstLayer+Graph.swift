internal import BinaryIO
internal import GraphIR

extension FirstLayer {
  /// The first layer of a network that takes one image, BatchNorm not folded; nil for other networks.
  ///
  /// Between the input and the convolution may stand what only converts, transposes to channels first, or scales and shifts
  /// channels by constants. A BatchNorm of the input itself counts as a convolution that changes nothing.
  ///
  /// - Parameter graph: A network whose padding and constants are folded.
  init?(_ graph: Graph) {
    guard graph.inputs.count == 1, let id = graph.inputs.first, graph[id].type.rank == 4 else { return nil }
    var walk = Front(graph, id)
    while walk.step() {}
    guard let user = walk.user, let channels = walk.channels, walk.isTransposed == walk.isChannelsLast else {
      return nil
    }
    input = graph[id].name
    isChannelsLast = walk.isChannelsLast
    front = walk.transform ?? InputTransform(channels: channels)
    place = graph.label(of: user)
    if case .batchNorm = graph[user].op {
      geometry = .init(
        channels: channels,
        kernel: [1, 1],
        strides: [1, 1],
        pads: [0, 0, 0, 0],
        dilations: [1, 1]
      )
      weights = (0..<channels).map { row in (0..<channels).map { $0 == row ? 1 : 0 } }
      bias = [Double](repeating: 0, count: channels)
      training = Training(graph, user, channels: channels)
      return
    }
    guard case .conv(let op) = graph[user].op, op.group == 1, op.strides.count == 2,
      let weight = graph[user].inputs[1].flatMap({ graph[$0].constant }), weight.shape.count == 4,
      weight.shape[1] == channels, (1...31).contains(weight.shape[2]), (1...31).contains(weight.shape[3]),
      let values = weight.floatValues()
    else { return nil }
    let length = channels * weight.shape[2] * weight.shape[3]
    let outputs = weight.shape[0]
    geometry = .init(
      channels: channels,
      kernel: Array(weight.shape[2...]),
      strides: op.strides,
      pads: op.pads,
      dilations: op.dilations
    )
    weights = (0..<outputs).map { row in values[(row * length)..<((row + 1) * length)].map(Double.init) }
    bias = [Double](repeating: 0, count: outputs)
    if graph[user].inputs.count > 2, let operand = graph[user].inputs[2] {
      guard let values = graph[operand].constant?.floatValues(), values.count == outputs else { return nil }
      bias = values.map(Double.init)
    }
    let result = graph[user].outputs[0]
    if op.activation == .none, let next = graph.users(of: result).first, graph.hasSingleUse(result),
      let found = Training(graph, next, channels: outputs)
    {
      training = found
      place = graph.label(of: next)
    }
  }
}

extension FirstLayer.Training {
  /// The statistics of a BatchNorm; nil for other nodes and for statistics that no training has touched.
  fileprivate init?(_ graph: Graph, _ id: NodeID, channels: Int) {
    guard case .batchNorm(let op) = graph[id].op, graph[id].inputs.count == 5 else { return nil }
    func values(_ operand: Int) -> [Double]? {
      let found = graph[id].inputs[operand].flatMap { graph[$0].constant?.floatValues() }
      guard let found, found.count == channels, found.allSatisfy(\.isFinite) else { return nil }
      return found.map(Double.init)
    }
    guard let mean = values(3), let variance = values(4), variance.allSatisfy({ $0 >= 0 }) else { return nil }
    guard mean.contains(where: { $0 != 0 }) || variance.contains(where: { $0 != 1 }) else { return nil }
    self.init(mean: mean, variance: variance, epsilon: max(Double(op.epsilon), 1e-12))
  }
}

/// The way from the input of a network to its first layer.
private struct Front {
  private let graph: Graph
  private var value: ValueID
  private(set) var isChannelsLast: Bool
  /// Whether a transposition to channels first lies behind.
  private(set) var isTransposed = false
  /// Nil while nothing has changed the values.
  private(set) var transform: InputTransform?

  init(_ graph: Graph, _ input: ValueID) {
    self.graph = graph
    value = input
    let dims = graph[input].type.dims.map(\.value)
    let isImage = { (count: Int?) in count == 1 || count == 3 }
    isChannelsLast = !isImage(dims[1]) && isImage(dims[3])
  }

  /// The channels of the input.
  var channels: Int? {
    guard let input = graph.inputs.first else { return nil }
    return graph[input].type.dims[isChannelsLast ? 3 : 1].value
  }

  /// The only user of the value reached; nil where it is used in several ways.
  var user: NodeID? {
    let users = graph.users(of: value)
    return users.count == 1 && !graph.isOutput(value) ? users.first : nil
  }

  /// Goes past one node that changes at most scale and shift.
  mutating func step() -> Bool {
    guard let user else { return false }
    let node = graph[user]
    switch node.op {
    case .cast:
      break
    case .transpose(let op):
      guard isChannelsLast, !isTransposed, op.perm == [0, 3, 1, 2] else { return false }
      isTransposed = true
    case .binary(let op):
      guard let next = changed(by: op.kind, node) else { return false }
      transform = next
    default: return false
    }
    value = node.outputs[0]
    return true
  }

  private func changed(by kind: Binary.Kind, _ node: Node) -> InputTransform? {
    guard let channels, let left = node.inputs[0], let right = node.inputs[1] else { return nil }
    let isFirst = left == value
    guard let numbers = numbers(isFirst ? right : left, channels: channels) else { return nil }
    var step = InputTransform(channels: channels)
    for channel in 0..<channels {
      let number = numbers[channel]
      switch (kind, isFirst) {
      case (.add, _): step.shift[channel] = number
      case (.sub, true): step.shift[channel] = -number
      case (.sub, false): (step.scale[channel], step.shift[channel]) = (-1, number)
      case (.mul, _): step.scale[channel] = number
      case (.div, true): step.scale[channel] = 1 / number
      default: return nil
      }
    }
    guard (step.scale + step.shift).allSatisfy(\.isFinite), step.scale.allSatisfy({ $0 != 0 }) else {
      return nil
    }
    return transform.map(step.after) ?? step
  }

  /// A constant as one number for each channel.
  private func numbers(_ id: ValueID, channels: Int) -> [Double]? {
    guard let tensor = graph[id].constant, tensor.count == 1 || tensor.count == channels,
      let values = tensor.floatValues()
    else { return nil }
    guard tensor.count > 1 else { return [Double](repeating: Double(values[0]), count: channels) }
    let axis = isChannelsLast && !isTransposed ? 1 : 3
    guard tensor.shape.count >= axis, tensor.shape[tensor.shape.count - axis] == channels else { return nil }
    return values.map(Double.init)
  }
}
