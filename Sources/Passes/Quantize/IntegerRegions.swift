import BinaryIO
import GraphIR
import Quantization

/// Which operators of a float graph compute with integers once it is quantized, and which values they share.
///
/// Linear operators with constant weights always do. Others do when their data comes from such operators and their result
/// goes to one again, so that no stretch of float interrupts the integers and none is quantized for nothing. What leads to an
/// output of the graph only stays float, which is also the most accurate.
struct IntegerRegions {
  /// Values that get a quantizer, in order of production.
  private(set) var quantized: [ValueID] = []
  /// Nodes that compute with integers.
  private(set) var nodes: Set<NodeID> = []
  /// Linear nodes that stay float, with the reason.
  private(set) var excluded: [(node: NodeID, reason: String)] = []
  /// The value whose range each quantized value has; itself, unless data just passes through or is joined.
  private var origin: [ValueID: ValueID] = [:]

  /// - Parameters:
  ///   - graph: A float graph.
  ///   - kept: Nodes that stay float.
  init(_ graph: Graph, keeping kept: Set<NodeID> = []) {
    chooseNodes(graph, kept)
    let inner = graph.order.filter(nodes.contains).compactMap { absorbed(by: $0, graph) }
    let skipped = Set(inner)
    var seen: Set<ValueID> = []
    for id in graph.order where nodes.contains(id) {
      for value in dataInputs(of: id, graph) where !skipped.contains(value) && seen.insert(value).inserted {
        quantized.append(value)
      }
    }
    quantized.sort { $0.index < $1.index }
    shareRanges(graph)
  }

  /// The value whose range a quantized value has.
  func origin(of value: ValueID) -> ValueID { origin[value] ?? value }

  /// Values whose ranges calibration must find, in order of production.
  var observed: [ValueID] { quantized.filter { origin(of: $0) == $0 } }

  private mutating func chooseNodes(_ graph: Graph, _ kept: Set<NodeID>) {
    var linear: Set<NodeID> = []
    var hasLinearUser: Set<ValueID> = []
    for id in graph.order {
      guard let node = LinearNode(graph, id) else { continue }
      if let reason = node.integerObstacle(graph, isDynamic: false) {
        excluded.append((id, reason))
        continue
      }
      if kept.contains(id) {
        excluded.append((id, "it is kept in float"))
        continue
      }
      linear.insert(id)
      hasLinearUser.insert(node.data)
    }
    let others = Set(
      graph.order.filter { !linear.contains($0) && !kept.contains($0) && Role(graph, $0) != nil }
    )
    var reaching: Set<ValueID> = []
    for id in graph.order.reversed() {
      let isReaching =
        linear.contains(id)
        || others.contains(id) && graph[id].outputs.contains(where: reaching.contains)
      if isReaching { reaching.formUnion(dataInputs(of: id, graph)) }
    }
    nodes = linear
    for id in graph.order where others.contains(id) {
      guard graph[id].outputs.contains(where: reaching.contains) else { continue }
      let isFed = dataInputs(of: id, graph).allSatisfy { value in
        hasLinearUser.contains(value) || graph[value].producer.map(nodes.contains) ?? false
      }
      if isFed { nodes.insert(id) }
    }
    for id in graph.order.reversed() where nodes.contains(id) && !linear.contains(id) {
      let isUsed = graph[id].outputs.contains { graph.users(of: $0).contains(where: nodes.contains) }
      if !isUsed { nodes.remove(id) }
    }
  }

  /// The value between an operator and the pointwise one after it, where one step computes both and no quantizer stands
  /// between: a clamp after a sum, product or mean, or a function of a function.
  private func absorbed(by id: NodeID, _ graph: Graph) -> ValueID? {
    guard Role(graph, id) == .mapping, let input = dataInputs(of: id, graph).first, graph.hasSingleUse(input),
      let (producer, node) = graph.producer(of: input), nodes.contains(producer)
    else { return nil }
    let isClamp =
      switch activation(graph[id].op) {
      case .relu?, .clip?: true
      case nil, Activation.none?, .sigmoid?, .hardSigmoid?, .hardSwish?, .silu?, .leakyRelu?: false
      }
    switch node.op {
    case .averagePool, .globalPool(GlobalPool(.average)): return isClamp ? input : nil
    case .binary where Role(graph, producer) == .joining: return isClamp ? input : nil
    default: return Role.isPointwise(graph[id].op) && Role.isPointwise(node.op) ? input : nil
    }
  }

  private mutating func shareRanges(_ graph: Graph) {
    let members = Set(quantized)
    for value in quantized {
      if let (producer, node) = graph.producer(of: value), nodes.contains(producer),
        Role(graph, producer) == .passing, let source = node.inputs[0], members.contains(source)
      {
        origin[value] = origin(of: source)
      } else if let joined = concatenation(of: value, graph, members) {
        origin[value] = joined
      }
    }
    for value in quantized {
      var root = origin(of: value)
      while origin(of: root) != root { root = origin(of: root) }
      origin[value] = root
    }
  }

  /// The concatenation that is a value's only use: both then share a range, and joining copies bytes.
  private func concatenation(of value: ValueID, _ graph: Graph, _ members: Set<ValueID>) -> ValueID? {
    guard let (user, node) = graph.onlyUser(of: value), case .concat = node.op, nodes.contains(user),
      members.contains(node.outputs[0])
    else { return nil }
    return node.outputs[0]
  }

  /// Operands that are data, not weights, shapes or single numbers.
  private func dataInputs(of id: NodeID, _ graph: Graph) -> [ValueID] {
    let inputs = graph[id].inputs.compactMap { $0 }
    switch Role(graph, id) {
    case .joining, .mapping: return inputs.filter { !graph[$0].isConstant }
    case .passing, nil: return Array(inputs.prefix(1))
    }
  }
}

/// What an operator other than the linear ones does with quantized data.
private enum Role {
  /// Moves or selects elements: the result has the operand's range.
  case passing
  /// Makes new numbers from one operand.
  case mapping
  /// Makes new numbers from several operands.
  case joining

  /// The role of a node; nil where its result must be computed in float.
  init?(_ graph: Graph, _ id: NodeID) {
    let node = graph[id]
    guard let data = node.inputs.first(where: { $0.map { !graph[$0].isConstant } ?? false }) ?? nil,
      graph[data].type.dtype == .float32
    else { return nil }
    let constants = node.inputs.filter { graph.constant($0) != nil }
    switch node.op {
    case .maxPool, .reshape, .flatten, .transpose, .squeeze, .unsqueeze, .split, .slice:
      guard node.inputs[0] == data else { return nil }
      self = .passing
    case .pad(let op) where op.mode == .constant && op.value == 0: self = .passing
    case .resize(let op) where op.mode == .nearest: self = .passing
    case .globalPool(let op): self = op.kind == .max ? .passing : .mapping
    case .averagePool: self = .mapping
    case .unary, .clip, .hardSigmoid, .leakyRelu, .elu, .gelu:
      guard Role.isPointwise(node.op) else { return nil }
      self = .mapping
    case .binary(let op):
      guard let role = Role(op.kind, constants, node, graph) else { return nil }
      self = role
    case .concat:
      guard constants.isEmpty else { return nil }
      self = .joining
    case .conv, .convTranspose, .gemm, .matMul, .lstm, .gru, .batchNorm, .layerNorm, .reduce, .argMax,
      .compare, .where,
      .prelu, .softmax, .cast, .gather, .expand, .pad, .shape, .constantOfShape, .gatherElements, .gatherND,
      .scatterND, .cumSum, .tile, .range, .resize,
      .quantizeLinear, .dequantizeLinear, .dequantizeBias, .dequantizeBlocks, .dynamicQuantize:
      return nil
    }
  }

  /// Two tensors are joined, a tensor and a single number are a function of the tensor.
  private init?(_ kind: Binary.Kind, _ constants: [ValueID?], _ node: Node, _ graph: Graph) {
    guard node.inputs.count == 2, graph[node.outputs[0]].type.dtype == .float32 else { return nil }
    switch kind {
    case .add, .sub, .mul:
      if constants.isEmpty {
        self = .joining
        return
      }
    case .div, .min, .max: break
    case .pow, .mod: return nil
    }
    guard constants.count == 1, let number = graph.constant(constants[0]), number.count == 1,
      number.shape.count <= graph[node.outputs[0]].type.rank
    else { return nil }
    self = .mapping
  }

  /// Whether an operator is a function of single elements that a table of 256 entries serves well.
  static func isPointwise(_ op: Op) -> Bool {
    switch op {
    case .clip, .hardSigmoid, .leakyRelu, .elu, .gelu: true
    case .unary(let op):
      switch op.kind {
      case .relu, .sigmoid, .hardSwish, .silu, .mish, .tanh, .neg, .abs: true
      case .erf, .exp, .log, .sqrt, .reciprocal, .floor, .ceil, .round, .sign, .sin, .cos, .softplus, .not:
        false
      }
    case .conv, .convTranspose, .gemm, .matMul, .lstm, .gru, .batchNorm, .layerNorm, .maxPool, .averagePool,
      .globalPool,
      .reduce, .argMax, .binary, .compare, .where, .prelu, .softmax, .cast, .reshape, .flatten, .transpose,
      .squeeze, .unsqueeze, .concat, .split, .slice, .gather, .expand, .pad, .shape, .constantOfShape,
      .gatherElements, .gatherND, .scatterND, .cumSum, .tile, .range,
      .resize, .quantizeLinear, .dequantizeLinear, .dequantizeBias, .dequantizeBlocks, .dynamicQuantize:
      false
    }
  }
}

extension LinearNode {
  /// Why the node cannot compute with integers; nil when it can.
  ///
  /// - Parameter isDynamic: Whether the data's scale is only known at run time.
  func integerObstacle(_ graph: Graph, isDynamic: Bool) -> String? {
    switch op {
    case .conv, .matMul: break
    case .gemm(let op):
      guard op.alpha == 1, op.beta == 1, !op.transA else {
        return "alpha, beta or a transposed operand scales or turns the data"
      }
    case .convTranspose(let op):
      guard !isDynamic else { return "a transposed convolution with dynamic scales is computed in float" }
      guard op.group == 1 else { return "a grouped transposed convolution is computed in float" }
    default: return "it is computed in float"
    }
    guard constantWeight(graph) != nil else { return "the weight is not an f32 constant" }
    return integerSumObstacle(graph)
  }

  /// Why an integer sum with an i32 bias cannot stand for the node; nil when it can.
  func integerSumObstacle(_ graph: Graph) -> String? {
    guard !graph[data].isConstant, graph[data].type.dtype == .float32 else { return "the data is not f32" }
    guard biasValues(graph) != nil else { return "the bias is not a constant of one value per channel" }
    guard terms <= AccumulatorBound.terms else {
      return "\(terms) products per output would overflow the accumulator, \(AccumulatorBound.terms) fit (K5)"
    }
    return nil
  }
}
