internal import BinaryIO
internal import GraphIR

/// What the patterns share: looking through stubs.
extension Lowering {
  /// A u8 activation behind a dequantize stub with constant parameters.
  struct QuantizedOperand {
    let id: ValueID
    let affine: Affine
  }

  /// A u8 activation with the parameters that a dynamic quantization computes.
  struct DynamicOperand {
    let id: ValueID
    let scale: ValueID
    let zeroPoint: ValueID
    let isPerRow: Bool
  }

  /// An i8 weight with one scale per output channel.
  struct WeightOperand {
    let tensor: Tensor
    let scales: [Float]
    /// The scale operand of the stub.
    let scaleID: ValueID
  }

  /// What follows an operator up to its quantize stub.
  struct OutputChain {
    let id: ValueID
    let affine: Affine
    /// Pointwise operators between, in order.
    let functions: [Pointwise]
    /// These operators and the stub.
    let nodes: [NodeID]
  }

  func producer(_ id: ValueID) -> Node? { graph[id].producer.map { graph[$0] } }

  /// The scale and zero point of a stub's u8 tensor, if they are constant scalars.
  func affine(scale: ValueID?, zeroPoint: ValueID?) -> Affine? {
    guard let scale = scale.flatMap({ graph[$0].constant }), scale.dtype == .float32, scale.count == 1,
      let zeroPoint = zeroPoint.flatMap({ graph[$0].constant }), zeroPoint.dtype == .uint8,
      zeroPoint.count == 1,
      let s = scale.elements(as: Float.self).first, let z = zeroPoint.elements(as: UInt8.self).first,
      (0x1p-126...0x1p64).contains(s)
    else { return nil }
    return Affine(scale: s, zeroPoint: z)
  }

  /// The parameters of a quantize or dequantize node, if they are constant.
  func stub(_ id: NodeID) -> Stub? {
    let node = graph[id]
    let axis: Int?
    let dtype: DType
    switch node.op {
    case .quantizeLinear(let op): (axis, dtype) = (op.axis, graph[node.outputs[0]].type.dtype)
    case .dequantizeLinear(let op):
      guard let q = node.inputs[0], graph[node.outputs[0]].type.dtype == .float32 else { return nil }
      (axis, dtype) = (op.axis, graph[q].type.dtype)
    default: return nil
    }
    guard let scale = node.inputs[1].flatMap({ graph[$0].constant }), scale.dtype == .float32,
      scale.shape.count <= 1
    else { return nil }
    let scales = scale.elements(as: Float.self)
    var zeroPoints = scales.map { _ in Int32(0) }
    if node.inputs.count > 2, let operand = node.inputs[2] {
      guard let values = graph[operand].constant?.intValues(), values.count == scales.count else {
        return nil
      }
      zeroPoints = values.map { Int32(truncatingIfNeeded: $0) }
    }
    let rank = graph[node.outputs[0]].type.rank
    return Stub(
      dtype: dtype,
      scales: scales,
      zeroPoints: zeroPoints,
      axis: axis.map { $0 < 0 ? $0 + rank : $0 }
    )
  }

  func quantized(_ id: ValueID?) -> QuantizedOperand? {
    guard let id, let node = producer(id), case .dequantizeLinear(let op) = node.op, op.axis == nil,
      node.inputs.count == 3, let q = node.inputs[0], !graph[q].isConstant,
      let affine = affine(scale: node.inputs[1], zeroPoint: node.inputs[2])
    else { return nil }
    return QuantizedOperand(id: q, affine: affine)
  }

  func dynamic(_ id: ValueID?) -> DynamicOperand? {
    guard let id, let node = producer(id), case .dequantizeLinear(let op) = node.op, op.axis == nil,
      node.inputs.count == 3, let q = node.inputs[0], let scale = node.inputs[1],
      let zeroPoint = node.inputs[2],
      let source = producer(q), case .dynamicQuantize(let quantize) = source.op,
      source.outputs == [q, scale, zeroPoint]
    else { return nil }
    return DynamicOperand(id: q, scale: scale, zeroPoint: zeroPoint, isPerRow: quantize.perRow)
  }

  /// The operand as a quantized activation.
  func activation(_ id: ValueID?) throws(Miss) -> QuantizedOperand {
    guard let operand = quantized(id) else {
      throw Miss("operand \(describe(id)) is not quantized to u8 with constant parameters")
    }
    return operand
  }

  /// The operand as an i8 weight whose output channels lie along `axis`.
  func weight(_ id: ValueID?, axis: Int) throws(Miss) -> WeightOperand {
    guard let id, let node = producer(id), case .dequantizeLinear(let op) = node.op, let q = node.inputs[0],
      let scale = node.inputs[1], let tensor = graph[q].constant, tensor.dtype == .int8
    else { throw Miss("weight \(describe(id)) is not a dequantized i8 constant") }
    guard let scales = graph[scale].constant, scales.dtype == .float32 else {
      throw Miss("the scale of weight \(describe(id)) is not an f32 constant")
    }
    if node.inputs.count > 2, let zeroPoint = node.inputs[2] {
      guard graph[zeroPoint].constant?.intValues()?.allSatisfy({ $0 == 0 }) == true else {
        throw Miss("the zero point of weight \(describe(id)) is not 0")
      }
    }
    let values = scales.elements(as: Float.self)
    guard let along = op.axis else {
      return WeightOperand(
        tensor: tensor,
        scales: Array(repeating: values.first ?? 1, count: tensor.shape[axis]),
        scaleID: scale
      )
    }
    guard (along < 0 ? along + tensor.shape.count : along) == axis, values.count == tensor.shape[axis] else {
      throw Miss("the scales of weight \(describe(id)) are not along its output channels")
    }
    return WeightOperand(tensor: tensor, scales: values, scaleID: scale)
  }

  /// The single consumer of a value that is no graph output.
  func onlyUser(of id: ValueID) -> NodeID? { graph.hasSingleUse(id) ? graph.users(of: id).first : nil }

  /// Follows a value through pointwise operators, each its only user, to a u8 quantize stub.
  func outputChain(_ start: ValueID) throws(Miss) -> OutputChain {
    var current = start
    var functions: [Pointwise] = []
    var nodes: [NodeID] = []
    while true {
      guard let user = onlyUser(of: current) else {
        throw Miss("result \(describe(current)) has other users than one quantize_linear")
      }
      let node = graph[user]
      nodes.append(user)
      if case .quantizeLinear(let op) = node.op, node.inputs[0] == current {
        guard op.axis == nil, let affine = affine(scale: node.inputs[1], zeroPoint: node.inputs[2]) else {
          throw Miss("result \(describe(current)) is not quantized to u8 per tensor with constant parameters")
        }
        return OutputChain(id: node.outputs[0], affine: affine, functions: functions, nodes: nodes)
      }
      guard let function = pointwise(user, of: current) else {
        throw Miss("result \(describe(current)) is not quantized")
      }
      functions.append(function)
      current = node.outputs[0]
    }
  }

  /// The function a node applies to one of its operands, if it is pointwise and specified to the bit.
  func pointwise(_ id: NodeID, of operand: ValueID) -> Pointwise? {
    let node = graph[id]
    guard graph[operand].type.dtype == .float32 else { return nil }
    let function: Pointwise
    switch node.op {
    case .unary(let op): function = .unary(op.kind)
    case .clip(let op): function = .activation(.clip(min: op.min, max: op.max))
    case .hardSigmoid(let op): function = .activation(.hardSigmoid(alpha: op.alpha, beta: op.beta))
    case .leakyRelu(let op): function = .activation(.leakyRelu(alpha: op.alpha))
    case .elu(let op): function = .elu(alpha: op.alpha, scale: op.scale)
    case .gelu(let op): function = .gelu(isTanh: op.isTanh)
    case .binary(let op):
      guard let match = scalarBinary(op, node, operand) else { return nil }
      function = match
    default: return nil
    }
    return function.isExact ? function : nil
  }

  /// A binary operator with a scalar constant that leaves the shape of the other operand alone.
  private func scalarBinary(_ op: Binary, _ node: Node, _ operand: ValueID) -> Pointwise? {
    guard let a = node.inputs[0], let b = node.inputs[1], a != b else { return nil }
    let other = a == operand ? b : a
    guard let constant = graph[other].constant, constant.count == 1,
      constant.shape.count <= graph[operand].type.rank,
      let value = constant.elements(as: Float.self).first
    else { return nil }
    return a == operand ? .left(op.kind, value) : .right(value, op.kind)
  }

  /// The functions as one activation that is a clamp; nil if they are not.
  func clamp(_ functions: [Pointwise], after first: Activation = .none) -> Activation? {
    var result = first
    for function in functions {
      let next: Activation
      switch function {
      case .unary(.relu): next = .relu
      case .activation(let activation): next = activation
      case .identity, .unary, .elu, .gelu, .left, .right: return nil
      }
      guard let merged = merge(result, next) else { return nil }
      result = merged
    }
    switch result {
    case .none, .relu, .clip: return result
    case .sigmoid, .hardSigmoid, .hardSwish, .silu, .leakyRelu: return nil
    }
  }

  /// One clamp after another; nil where one of them is no clamp.
  private func merge(_ first: Activation, _ second: Activation) -> Activation? {
    guard let a = bounds(first), let b = bounds(second) else { return nil }
    let low = min(max(a.low, b.low), b.high)
    let high = min(max(a.high, b.low), b.high)
    if low == -.infinity && high == .infinity { return Activation.none }
    return low == 0 && high == .infinity ? .relu : .clip(min: low, max: high)
  }

  private func bounds(_ activation: Activation) -> (low: Float, high: Float)? {
    switch activation {
    case .none: (-.infinity, .infinity)
    case .relu: (0, .infinity)
    case .clip(let low, let high): low <= high ? (low, high) : nil
    case .sigmoid, .hardSigmoid, .hardSwish, .silu, .leakyRelu: nil
    }
  }

  /// The functions as one activation of any kind, for the real tail of a linear step; nil if they are more.
  func tailActivation(_ functions: [Pointwise], after first: Activation) -> Activation? {
    if let clamp = clamp(functions, after: first) { return clamp }
    if functions.isEmpty { return first }
    guard first == .none, functions.count == 1 else { return nil }
    switch functions[0] {
    case .unary(.sigmoid): return .sigmoid
    case .unary(.hardSwish): return .hardSwish
    case .unary(.silu): return .silu
    case .activation(let activation): return activation
    case .identity, .unary, .elu, .gelu, .left, .right: return nil
    }
  }

  func describe(_ id: ValueID?) -> String { id.map { "%" + Refusal.printable(graph[$0].name) } ?? "none" }
}
