internal import CKernels

/// What becomes of rows of f32, stage by stage: the addition of another operand, normalisation, a pointwise function,
/// quantization of each row by its own range.
package struct RowKernel: Sendable {
  package var rows: Int
  package var columns: Int
  /// `(x - mean) / sqrt(variance + epsilon) * scale + bias`, if scales are given.
  package var epsilon: Float = 0
  package var function: PointwiseFunction?

  package init(rows: Int, columns: Int) {
    precondition(columns > 0)
    self.rows = rows
    self.columns = columns
  }

  /// Operands and results; results may take the place of `x` and `addend`.
  package struct Operands: Sendable {
    package var x: Buffer
    /// Added element by element.
    package var addend: Buffer?
    /// Space for the sum, if it is wanted.
    package var sum: Buffer?
    /// One per column.
    package var scale: Buffer?
    /// One per column.
    package var bias: Buffer?
    /// Space for what is left after all stages but quantization, if it is wanted.
    package var result: Buffer?
    package var quantized: Quantized?

    package init(x: Buffer) { self.x = x }
  }

  /// Space for quantized rows.
  package struct Quantized: Sendable {
    /// u8.
    package var elements: Buffer
    /// One f32 per row.
    package var scales: Buffer
    /// One u8 per row.
    package var zeroPoints: Buffer

    package init(elements: Buffer, scales: Buffer, zeroPoints: Buffer) {
      self.elements = elements
      self.scales = scales
      self.zeroPoints = zeroPoints
    }
  }

  /// Scratch per thread.
  package var scratchBytes: Int { qk_row_chain_scratch_bytes(columns) }

  package func run(_ operands: Operands, in context: KernelContext) {
    precondition(operands.bias == nil || operands.scale != nil, "a bias belongs to a scale")
    var chain = unsafe qk_row_chain()
    let count = rows * columns
    unsafe chain.rows = rows
    unsafe chain.columns = columns
    unsafe chain.x = UnsafePointer(operands.x.elements(count, of: Float.self))
    unsafe chain.addend = operands.addend.map { unsafe UnsafePointer($0.elements(count, of: Float.self)) }
    unsafe chain.sum = operands.sum?.elements(count, of: Float.self)
    unsafe chain.scale = operands.scale.map { unsafe UnsafePointer($0.elements(columns, of: Float.self)) }
    unsafe chain.bias = operands.bias.map { unsafe UnsafePointer($0.elements(columns, of: Float.self)) }
    unsafe chain.epsilon = epsilon
    unsafe chain.out = operands.result?.elements(count, of: Float.self)
    unsafe chain.quantized = operands.quantized?.elements.elements(count, of: UInt8.self)
    unsafe chain.scales = operands.quantized?.scales.elements(rows, of: Float.self)
    unsafe chain.zero_points = operands.quantized?.zeroPoints.elements(rows, of: UInt8.self)
    var activation = (function ?? .identity).value
    unsafe withUnsafePointer(to: &activation) { activation in
      if function != nil { unsafe chain.activation = unsafe activation }
      unsafe qk_row_chain_run(context.isa, &chain, context.pool, context.scratch(scratchBytes))
    }
  }
}
