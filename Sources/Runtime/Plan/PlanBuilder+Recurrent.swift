internal import BinaryIO
internal import GraphIR
internal import Kernels

extension PlanBuilder {
  /// A recurrence on float weights; one that quantizes its state has integer ones, or runs as the reference does.
  mutating func addRecurrence(_ cell: RecurrentCell, _ step: Step) throws(Refusal) -> Bool {
    guard !cell.recurrence.isDynamic, let r = step.inputs[1], constants.isConstant(r) else { return false }
    let operands = Array(step.inputs.prefix(1) + step.inputs.dropFirst(2))
    guard let operand = RecurrentOperands(cell, operands), let hidden = self.shape(r).last,
      let kernel = try recurrentKernel(
        cell,
        operand,
        step,
        hidden: hidden,
        scales: nil,
        { () throws(Refusal) in
          try floatWeights(r)
        }
      )
    else { return false }
    try add(kernel, operand, step, name: "f32 \(cell.op.name)")
    return true
  }

  mutating func addDynamicRecurrence(_ kind: DynamicRecurrence, _ step: Step) throws(Refusal) -> Bool {
    let hidden = kind.weights.shape[1]
    guard let operand = RecurrentOperands(kind.cell, step.inputs),
      let kernel = try recurrentKernel(
        kind.cell,
        operand,
        step,
        hidden: hidden,
        scales: kind.weightScales,
        {
          () throws(Refusal) in (kind.weights, .int8)
        }
      )
    else { return false }
    try add(kernel, operand, step, name: "int8 dynamic \(kind.cell.op.name)")
    return true
  }

  /// The kernel of a recurrence; nil where there is none for its operands.
  private func recurrentKernel(
    _ cell: RecurrentCell,
    _ operand: RecurrentOperands,
    _ step: Step,
    hidden: Int,
    scales: [Float]?,
    _ weights: () throws(Refusal) -> (Tensor, WeightSource.Element)
  ) throws(Refusal) -> RecurrentKernel? {
    guard dtype(operand.gates) == .float32, hidden > 1,
      let function = try recurrentCell(cell, vector: operand.vector)
    else { return nil }
    let shape = RecurrentKernel.Shape(
      length: self.shape(operand.gates)[0],
      batch: self.shape(operand.gates)[1],
      directions: cell.recurrence.directions,
      hidden: hidden,
      isReversed: cell.recurrence.direction == .reverse
    )
    let linear = RecurrentKernel.weightShape(shape, gateCount: cell.gateCount)
    let packed = try packedWeights(linear, of: step.outputs[0], weights)
    guard
      let kernel = RecurrentKernel(shape, function, packed, scales: scales, clip: cell.recurrence.clip)
    else { throw PlanBuilder.outOfMemory("a kernel") }
    return kernel
  }

  private mutating func add(
    _ kernel: RecurrentKernel,
    _ operand: RecurrentOperands,
    _ step: Step,
    name: String
  ) throws(Refusal) {
    let gates = try read(operand.gates, .plain)
    let lengths = try readOptional(operand.lengths)
    let state = try readOptional(operand.state)
    let cell = try readOptional(operand.cell)
    let reads = [gates] + [lengths, state, cell].compactMap(\.self)
    let targets = step.outputs.map { write($0, .plain) }
    parameterBytes += kernel.residentBytes
    add(name, reads: reads, writes: targets, scratch: kernel.scratchBytes) { (run) throws(Refusal) in
      let operands = RecurrentKernel.Operands(
        gates: run[gates],
        lengths: try lengths.map { (slot) throws(Refusal) in try run.lengths(slot, kernel.shape) },
        state: state.map { run[$0] },
        cell: cell.map { run[$0] },
        states: run[targets[0]],
        lastState: run[targets[1]],
        lastCell: targets.count > 2 ? run[targets[2]] : nil
      )
      kernel.run(operands, in: run.context)
    }
  }

  private mutating func readOptional(_ id: ValueID?) throws(Refusal) -> SlotID? {
    guard let id else { return nil }
    return try read(id, .plain)
  }

  /// The kernel's cell; nil where its peepholes or bias are not constant.
  private func recurrentCell(
    _ cell: RecurrentCell,
    vector: ValueID?
  ) throws(Refusal) -> RecurrentKernel.Cell? {
    var values: [Float]?
    if let vector {
      guard constants.isConstant(vector) else { return nil }
      values = try constants.tensor(vector).floatValues()
    }
    switch cell {
    case .lstm(let op): return .lstm(isCoupled: op.isCoupled, peepholes: values)
    case .gru(let op): return op.resetsAfter ? .gruResetAfter(bias: values) : .gru
    }
  }
}

/// The operands of a recurrent operator by their meaning.
private struct RecurrentOperands {
  let gates: ValueID
  private(set) var lengths: ValueID?
  private(set) var state: ValueID?
  private(set) var cell: ValueID?
  /// The peepholes or the bias.
  private(set) var vector: ValueID?

  /// - Parameter operands: All but the matrix.
  init?(_ kind: RecurrentCell, _ operands: [ValueID?]) {
    guard let gates = operands.first ?? nil else { return nil }
    func operand(_ index: Int) -> ValueID? { index < operands.count ? operands[index] : nil }
    self.gates = gates
    switch kind {
    case .lstm: (lengths, state, cell, vector) = (operand(1), operand(2), operand(3), operand(4))
    case .gru: (vector, lengths, state) = (operand(1), operand(2), operand(3))
    }
  }
}

extension PlanRun {
  /// The lengths of a batch's rows, checked.
  fileprivate func lengths(_ slot: SlotID, _ shape: RecurrentKernel.Shape) throws(Refusal) -> Buffer {
    let values = self[slot].read(shape.batch, as: Int32.self)
    try RecurrentLoop.check(values.map { Int($0) }, length: shape.length)
    return self[slot]
  }
}
