internal import GraphIR

/// Sums, products, tables and concatenations.
extension Lowering {
  func binary(_ id: NodeID, _ op: Binary) throws(Miss) -> Step {
    let node = graph[id]
    if let step = try scalarTable(id, node) { return step }
    switch op.kind {
    case .add, .sub: return try add(id, isDifference: op.kind == .sub)
    case .mul: return try mul(id)
    case .div, .pow, .min, .max, .mod: throw Miss("\(op.name) of two tensors has no integer form")
    }
  }

  private func scalarTable(_ id: NodeID, _ node: Node) throws(Miss) -> Step? {
    for case let input? in node.inputs where quantized(input) != nil && pointwise(id, of: input) != nil {
      return try table(id, of: input)
    }
    return nil
  }

  private func add(_ id: NodeID, isDifference: Bool) throws(Miss) -> Step {
    let a = try activation(graph[id].inputs[0])
    let b = try activation(graph[id].inputs[1])
    let chain = try outputChain(graph[id].outputs[0])
    let clamp = try outputClamp(chain)
    guard let first = IntegerArithmetic.multiplier(a.affine.scale, over: chain.affine.scale),
      let second = IntegerArithmetic.multiplier(b.affine.scale, over: chain.affine.scale)
    else { throw Miss("a requantization multiplier is too small or too large") }
    let kind = Step.Kind.integerAdd(
      IntegerAdd(
        zeroPointA: a.affine.zeroPoint,
        zeroPointB: b.affine.zeroPoint,
        multiplierA: first,
        multiplierB: isDifference ? -second : second,
        clamp: clamp
      )
    )
    return Step(kind, inputs: [a.id, b.id], outputs: [chain.id], nodes: [id] + chain.nodes)
  }

  private func mul(_ id: NodeID) throws(Miss) -> Step {
    let a = try activation(graph[id].inputs[0])
    let b = try activation(graph[id].inputs[1])
    let chain = try outputChain(graph[id].outputs[0])
    let clamp = try outputClamp(chain)
    guard let m = IntegerArithmetic.multiplier(a.affine.scale, b.affine.scale, over: chain.affine.scale)
    else {
      throw Miss("the requantization multiplier is too small or too large")
    }
    let kind = Step.Kind.integerMul(
      IntegerMul(
        zeroPointA: a.affine.zeroPoint,
        zeroPointB: b.affine.zeroPoint,
        multiplier: m,
        clamp: clamp
      )
    )
    return Step(kind, inputs: [a.id, b.id], outputs: [chain.id], nodes: [id] + chain.nodes)
  }

  /// The clamp of a chain that holds nothing but clamps.
  func outputClamp(_ chain: OutputChain) throws(Miss) -> OutputClamp {
    guard let activation = clamp(chain.functions), let clamp = OutputClamp(activation, output: chain.affine)
    else {
      throw Miss("the function between it and its quantize_linear is no clamp")
    }
    return clamp
  }

  /// A chain of pointwise operators between two stubs.
  func table(_ id: NodeID) throws(Miss) -> Step {
    guard let input = graph[id].inputs[0] else { throw Miss("its operand is absent") }
    return try table(id, of: input)
  }

  private func table(_ id: NodeID, of input: ValueID) throws(Miss) -> Step {
    let operand = try activation(input)
    guard let first = pointwise(id, of: input) else { throw Miss("\(graph[id].op.name) has no integer form") }
    let chain = try outputChain(graph[id].outputs[0])
    let entries = IntegerArithmetic.table([first] + chain.functions, from: operand.affine, to: chain.affine)
    return Step(
      .table(LookupTable(entries: entries)),
      inputs: [operand.id],
      outputs: [chain.id],
      nodes: [id] + chain.nodes
    )
  }

  /// A quantize stub directly behind a dequantize stub: the table of the identity.
  func requantize(_ id: NodeID) throws(Miss) -> Step? {
    let node = graph[id]
    guard case .quantizeLinear(let op) = node.op, op.axis == nil, let operand = quantized(node.inputs[0]),
      let output = affine(scale: node.inputs[1], zeroPoint: node.inputs[2])
    else { return nil }
    let entries = IntegerArithmetic.table([.identity], from: operand.affine, to: output)
    return Step(
      .table(LookupTable(entries: entries)),
      inputs: [operand.id],
      outputs: node.outputs,
      nodes: [id]
    )
  }

  func concat(_ id: NodeID, _ op: Concat) throws(Miss) -> Step {
    let node = graph[id]
    let chain = try outputChain(node.outputs[0])
    guard chain.functions.allSatisfy(\.isExact) else {
      throw Miss("a function behind it has no integer form")
    }
    var inputs: [ValueID] = []
    var tables: [[UInt8]?] = []
    for input in node.inputs {
      let operand = try activation(input)
      inputs.append(operand.id)
      tables.append(moveTable(from: operand.affine, chain))
    }
    let rank = graph[node.outputs[0]].type.rank
    let axis = op.axis < 0 ? op.axis + rank : op.axis
    return Step(
      .integerConcat(IntegerConcat(axis: axis, tables: tables)),
      inputs: inputs,
      outputs: [chain.id],
      nodes: [id] + chain.nodes
    )
  }

  /// The table for bytes that an operator only moves; nil where nothing changes.
  func moveTable(from input: Affine, _ chain: OutputChain) -> [UInt8]? {
    chain.functions.isEmpty
      ? IntegerArithmetic.requantizeTable(from: input, to: chain.affine)
      : IntegerArithmetic.table(chain.functions, from: input, to: chain.affine)
  }
}
