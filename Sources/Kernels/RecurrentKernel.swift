internal import CKernels

/// A recurrent operator with packed weights, for one length and batch.
@safe package final class RecurrentKernel {
  /// What a step does with the gates.
  package enum Cell: Sendable {
    /// Gates i, o, f, c; `peepholes` are `[directions][3][hidden]` in the order i, o, f.
    case lstm(isCoupled: Bool, peepholes: [Float]?)
    /// Gates z, r, n; the reset multiplies the state.
    case gru
    /// Gates z, r, n; the reset multiplies the state's product plus `bias`, `[directions][hidden]`.
    case gruResetAfter(bias: [Float]?)

    package var gateCount: Int { if case .lstm = self { 4 } else { 3 } }
  }

  /// Extents and order of the steps.
  package struct Shape: Hashable, Sendable {
    package var length: Int
    package var batch: Int
    package var directions: Int
    package var hidden: Int
    /// Whether the only direction goes from the end to the start.
    package var isReversed: Bool

    package init(length: Int, batch: Int, directions: Int, hidden: Int, isReversed: Bool) {
      self.length = length
      self.batch = batch
      self.directions = directions
      self.hidden = hidden
      self.isReversed = isReversed
    }

    /// Elements of one state of every row and direction.
    var stateCount: Int { directions * batch * hidden }
  }

  /// What a run reads and writes; all f32 but the lengths, which are i32.
  package struct Operands {
    package var gates: Buffer
    /// From 0 to the length, one per row of the batch.
    package var lengths: Buffer?
    package var state: Buffer?
    package var cell: Buffer?
    package var states: Buffer
    package var lastState: Buffer
    /// For ``Cell/lstm(isCoupled:peepholes:)`` only.
    package var lastCell: Buffer?

    package init(
      gates: Buffer,
      lengths: Buffer?,
      state: Buffer?,
      cell: Buffer?,
      states: Buffer,
      lastState: Buffer,
      lastCell: Buffer?
    ) {
      self.gates = gates
      self.lengths = lengths
      self.state = state
      self.cell = cell
      self.states = states
      self.lastState = lastState
      self.lastCell = lastCell
    }
  }

  /// The weights as those of a convolution: a group for every gate of every direction.
  package static func weightShape(_ shape: Shape, gateCount: Int) -> LinearShape {
    var linear = LinearShape(rows: 1, depth: shape.hidden, columns: shape.hidden)
    linear.groups = shape.directions * gateCount
    return linear
  }

  /// Bytes of scales and vectors of the cell; the weights are shared.
  package var residentBytes: Int { vectors.count }
  /// Scratch per thread.
  package private(set) var scratchBytes = 0
  package let shape: Shape
  private let gateCount: Int
  private let weights: PackedWeights
  /// Scales of the padded columns, then the vectors of the cell.
  private let vectors: Memory
  private var op = unsafe qk_recurrent()

  /// - Parameters:
  ///   - shape: Extents; at least two hidden units.
  ///   - cell: What a step does.
  ///   - weights: Packed for ``weightShape(_:gateCount:)``.
  ///   - scales: One per row of the stored weights, for bytes; nil for floats.
  ///   - clip: Bound of the operands of the gates' functions.
  /// - Returns: nil when the system has no memory left.
  package init?(_ shape: Shape, _ cell: Cell, _ weights: PackedWeights, scales: [Float]?, clip: Float) {
    precondition(
      weights.fits(RecurrentKernel.weightShape(shape, gateCount: cell.gateCount)) && shape.hidden > 1
    )
    precondition(weights.isFloat == (scales == nil))
    self.shape = shape
    self.weights = weights
    gateCount = cell.gateCount
    let units = shape.directions * shape.hidden
    let vector = RecurrentKernel.vector(of: cell, units)
    guard let vectors = Memory(count: (weights.paddedChannels + vector.count) * 4) else { return nil }
    self.vectors = vectors
    let padded = unsafe vectors.buffer.elements(weights.paddedChannels + vector.count, of: Float.self)
    for (row, scale) in (scales ?? []).enumerated() { unsafe padded[weights.position(row)] = scale }
    let own = unsafe padded + weights.paddedChannels
    for (index, value) in vector.enumerated() { unsafe own[index] = value }
    unsafe op.column_scales = UnsafePointer(padded)
    unsafe setCell(cell, UnsafePointer(own))
    setShape(clip: clip)
    scratchBytes = unsafe qk_recurrent_scratch_bytes(&op)
  }

  /// The peepholes or the bias; an absent bias is -0, the number that changes no sum.
  private static func vector(of cell: Cell, _ units: Int) -> [Float] {
    switch cell {
    case .lstm(_, let peepholes): peepholes ?? []
    case .gru: []
    case .gruResetAfter(let bias): bias ?? [Float](repeating: -0.0, count: units)
    }
  }

  private func setCell(_ cell: Cell, _ vector: UnsafePointer<Float>) {
    switch cell {
    case .lstm(let isCoupled, let peepholes):
      unsafe op.cell = QK_LSTM
      unsafe op.coupled = isCoupled
      if peepholes != nil { unsafe op.peepholes = unsafe vector }
    case .gru: unsafe op.cell = QK_GRU
    case .gruResetAfter:
      unsafe op.cell = QK_GRU_RESET_AFTER
      unsafe op.bias = unsafe vector
    }
  }

  private func setShape(clip: Float) {
    unsafe op.dtype = weights.dtype
    unsafe op.isa = weights.instructionSet.value
    unsafe op.reversed = shape.isReversed
    unsafe op.clip = clip
    unsafe op.length = shape.length
    unsafe op.batch = shape.batch
    unsafe op.directions = shape.directions
    unsafe op.hidden = shape.hidden
    unsafe op.nr = weights.panelWidth
    unsafe op.weights = UnsafeRawPointer(weights.memory.buffer.pointer(0))
  }

  /// Takes all steps.
  package func run(_ operands: Operands, in context: KernelContext) {
    let count = shape.stateCount
    func floats(_ buffer: Buffer?) -> UnsafeMutablePointer<Float>? {
      unsafe buffer.map { unsafe $0.elements(count, of: Float.self) }
    }
    let columns = shape.directions * gateCount * shape.hidden
    var data = unsafe qk_recurrent_data(
      gates: operands.gates.elements(shape.length * shape.batch * columns, of: Float.self),
      lengths: operands.lengths.map { unsafe UnsafePointer($0.elements(shape.batch, of: Int32.self)) },
      h: UnsafePointer(floats(operands.state)),
      c: UnsafePointer(floats(operands.cell)),
      states: operands.states.elements(shape.length * count, of: Float.self),
      last_h: operands.lastState.elements(count, of: Float.self),
      last_c: floats(operands.lastCell)
    )
    unsafe weights.sums.withUnsafeBufferPointer { sums in
      var op = unsafe op
      unsafe op.column_sums = sums.baseAddress
      unsafe qk_recurrent_run(&op, &data, context.pool, context.scratch(scratchBytes))
    }
  }
}
