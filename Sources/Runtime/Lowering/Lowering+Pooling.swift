internal import BinaryIO
internal import GraphIR

/// Pooling over windows and over all positions.
extension Lowering {
  func maxPool(_ id: NodeID, _ op: MaxPool) throws(Miss) -> Step {
    let operand = try activation(graph[id].inputs[0])
    let chain = try outputChain(graph[id].outputs[0])
    let kind = Step.Kind.integerMaxPool(
      IntegerMaxPool(pool: op, table: moveTable(from: operand.affine, chain))
    )
    return Step(kind, inputs: [operand.id], outputs: [chain.id], nodes: [id] + chain.nodes)
  }

  func averagePool(_ id: NodeID, _ op: AveragePool) throws(Miss) -> Step {
    let operand = try activation(graph[id].inputs[0])
    let chain = try outputChain(graph[id].outputs[0])
    let clamp = try outputClamp(chain)
    guard let area = Checked.product(op.kernel) else { throw Miss("its window is too large") }
    try checkMean(operand.affine, chain.affine, positions: area)
    let pool = IntegerAveragePool(
      pool: op,
      inputZeroPoint: operand.affine.zeroPoint,
      inputScale: operand.affine.scale,
      outputScale: chain.affine.scale,
      clamp: clamp
    )
    return Step(
      .integerAveragePool(pool),
      inputs: [operand.id],
      outputs: [chain.id],
      nodes: [id] + chain.nodes
    )
  }

  func globalPool(_ id: NodeID, _ op: GlobalPool) throws(Miss) -> Step {
    let operand = try activation(graph[id].inputs[0])
    let chain = try outputChain(graph[id].outputs[0])
    switch op.kind {
    case .average: return try mean(id, operand, chain, keepDims: true)
    case .max:
      let pool = IntegerGlobalPool(
        keepDims: true,
        function: .max(table: moveTable(from: operand.affine, chain))
      )
      return Step(
        .integerGlobalPool(pool),
        inputs: [operand.id],
        outputs: [chain.id],
        nodes: [id] + chain.nodes
      )
    }
  }

  /// A mean over exactly the spatial axes.
  func reduce(_ id: NodeID, _ op: Reduce) throws(Miss) -> Step {
    let node = graph[id]
    let operand = try activation(node.inputs[0])
    let rank = graph[operand.id].type.rank
    let given =
      op.axes ?? (node.inputs.count > 1 ? node.inputs[1].flatMap { graph[$0].constant?.intValues() } : nil)
    guard op.kind == .mean, rank >= 3, let axes = given,
      axes.map({ $0 < 0 ? $0 + rank : $0 }).sorted() == Array(2..<rank)
    else { throw Miss("\(op.name) has an integer form only as the mean over all spatial axes") }
    return try mean(id, operand, outputChain(node.outputs[0]), keepDims: op.keepDims)
  }

  private func mean(
    _ id: NodeID,
    _ operand: QuantizedOperand,
    _ chain: OutputChain,
    keepDims: Bool
  ) throws(Miss) -> Step {
    let clamp = try outputClamp(chain)
    let extents = graph[operand.id].type.dims.dropFirst(2).map(\.value)
    let known = extents.compactMap { $0 }
    guard known.count == extents.count else {
      throw Miss("its spatial extents are not known")
    }
    guard let positions = Checked.product(known) else { throw Miss("it has too many positions") }
    try checkMean(operand.affine, chain.affine, positions: positions)
    let pool = IntegerGlobalPool(
      keepDims: keepDims,
      function: .average(
        inputZeroPoint: operand.affine.zeroPoint,
        inputScale: operand.affine.scale,
        outputScale: chain.affine.scale,
        clamp
      )
    )
    return Step(
      .integerGlobalPool(pool),
      inputs: [operand.id],
      outputs: [chain.id],
      nodes: [id] + chain.nodes
    )
  }

  /// Section 9: the sum fits i32 and the multipliers for divisors 1 to `positions` are admissible.
  private func checkMean(_ input: Affine, _ output: Affine, positions: Int) throws(Miss) {
    guard positions <= Int(Int32.max) / 255 else {
      throw Miss("the sum of \(positions) positions exceeds 32 bits")
    }
    let ratio = Double(input.scale) / Double(output.scale)
    guard (0x1p-126...0x1p100).contains(ratio / Double(max(positions, 1))), ratio <= 0x1p100 else {
      throw Miss("a requantization multiplier is too small or too large")
    }
  }
}
