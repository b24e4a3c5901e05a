internal import CKernels

/// Products of f32 matrices of which neither is constant.
package struct MatMulKernel: Sendable {
  package let rows: Int
  package let depth: Int
  package let columns: Int
  /// Elements between rows of the first operand.
  package let rowStride: Int
  /// Elements between rows, and between columns, of the second operand.
  package let weightStrides: (row: Int, column: Int)
  private let aOffsets: [Int]
  private let bOffsets: [Int]

  /// - Parameters:
  ///   - rows: Of the first operand and the result.
  ///   - depth: Columns of the first operand, rows of the second.
  ///   - columns: Of the second operand and the result.
  ///   - rowStride: Elements between rows of the first operand, whose columns are neighbours.
  ///   - weightStrides: Elements between rows, and between columns, of the second operand.
  ///   - offsets: First elements of each pair of matrices.
  package init(
    rows: Int,
    depth: Int,
    columns: Int,
    rowStride: Int,
    weightStrides: (row: Int, column: Int),
    offsets: [(a: Int, b: Int)]
  ) {
    precondition(rows > 0 && depth > 0 && columns > 0)
    precondition(rowStride >= 0 && weightStrides.row >= 0 && weightStrides.column >= 0)
    precondition(offsets.allSatisfy { $0.a >= 0 && $0.b >= 0 })
    self.rows = rows
    self.depth = depth
    self.columns = columns
    self.rowStride = rowStride
    self.weightStrides = weightStrides
    aOffsets = offsets.map(\.a)
    bOffsets = offsets.map(\.b)
  }

  /// Scratch per thread.
  package func scratchBytes(_ context: KernelContext) -> Int {
    unsafe withValue(context) { unsafe qk_f32_matmul_scratch_bytes($0) }
  }

  private func withValue<R>(_ context: KernelContext, _ body: (UnsafePointer<qk_matmul>) -> R) -> R {
    unsafe aOffsets.withUnsafeBufferPointer { a in
      unsafe bOffsets.withUnsafeBufferPointer { b in
        var value = unsafe qk_matmul()
        unsafe value.isa = context.isa
        unsafe value.batch = aOffsets.count
        unsafe value.rows = rows
        unsafe value.depth = depth
        unsafe value.columns = columns
        unsafe value.a_offsets = a.baseAddress
        unsafe value.b_offsets = b.baseAddress
        unsafe value.a_stride = rowStride
        unsafe value.b_row = weightStrides.row
        unsafe value.b_column = weightStrides.column
        return unsafe body(&value)
      }
    }
  }

  /// Multiplies; the results lie one after another, row by row.
  package func run(_ a: Buffer, _ b: Buffer, _ y: Buffer, in context: KernelContext) {
    guard let lastA = aOffsets.max(), let lastB = bOffsets.max() else { return }
    let aEnd = lastA + (rows - 1) * rowStride + depth
    let bEnd = lastB + (depth - 1) * weightStrides.row + (columns - 1) * weightStrides.column + 1
    let scratch = scratchBytes(context)
    unsafe withValue(context) { value in
      unsafe qk_f32_matmul_run(
        value,
        a.elements(aEnd, of: Float.self),
        b.elements(bEnd, of: Float.self),
        y.elements(aOffsets.count * rows * columns, of: Float.self),
        context.pool,
        context.scratch(scratch)
      )
    }
  }
}
