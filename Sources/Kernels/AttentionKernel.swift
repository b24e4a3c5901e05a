internal import CKernels

/// `softmax(q * k^T * factor + mask) * v` for pairs of f32 matrices.
package struct AttentionKernel: Sendable {
  /// Matrices that lie in one buffer.
  package struct Matrices: Sendable {
    /// First elements, one per pair.
    package var offsets: [Int]
    /// Elements between rows.
    package var row: Int
    /// Elements between columns.
    package var column: Int

    package init(offsets: [Int], row: Int, column: Int) {
      precondition(row >= 0 && column >= 0 && offsets.allSatisfy { $0 >= 0 })
      self.offsets = offsets
      self.row = row
      self.column = column
    }

    /// One past the last element that is reached.
    fileprivate func end(_ rows: Int, _ columns: Int) -> Int {
      (offsets.max() ?? 0) + (rows - 1) * row + (columns - 1) * column + 1
    }
  }

  package let queries: Int
  package let keys: Int
  /// Elements of a query and of a key.
  package let depth: Int
  /// Elements of a value.
  package let columns: Int
  package var factor: Float = 1
  /// Whether weights that would be no numbers are 0.
  package var isGuarded = false
  /// One query per row, of neighbouring elements.
  private let q: Matrices
  /// One key per row.
  private let k: Matrices
  /// One value per row.
  private let v: Matrices
  /// Added to the scores: one row per query, one column per key, which are neighbours or the same.
  private let mask: Matrices?
  /// One result per row, of neighbouring elements.
  private let y: Matrices

  package init(
    queries: Int,
    keys: Int,
    depth: Int,
    columns: Int,
    q: Matrices,
    k: Matrices,
    v: Matrices,
    mask: Matrices?,
    y: Matrices
  ) {
    precondition(queries > 0 && keys > 0 && depth > 0 && columns > 0)
    precondition((q.column == 1 || depth == 1) && (y.column == 1 || columns == 1))
    precondition(mask.map { $0.column <= 1 && $0.offsets.count == q.offsets.count } ?? true)
    precondition([k, v, y].allSatisfy { $0.offsets.count == q.offsets.count })
    self.queries = queries
    self.keys = keys
    self.depth = depth
    self.columns = columns
    self.q = q
    self.k = k
    self.v = v
    self.mask = mask
    self.y = y
  }

  /// Scratch per thread.
  package func scratchBytes(_ context: KernelContext) -> Int {
    unsafe withValue(context) { unsafe qk_f32_attention_scratch_bytes($0) }
  }

  private func withValue<R>(_ context: KernelContext, _ body: (UnsafePointer<qk_attention>) -> R) -> R {
    let offsets = [q, k, v, mask ?? q, y].flatMap(\.offsets)
    let batch = q.offsets.count
    return unsafe offsets.withUnsafeBufferPointer { offsets in
      var value = unsafe qk_attention()
      unsafe value.isa = context.isa
      unsafe value.batch = batch
      unsafe value.queries = queries
      unsafe value.keys = keys
      unsafe value.depth = depth
      unsafe value.columns = columns
      unsafe value.factor = factor
      unsafe value.guarded = isGuarded
      let first = offsets.baseAddress
      unsafe value.q_offsets = first
      unsafe value.k_offsets = first.map { unsafe $0 + batch }
      unsafe value.v_offsets = first.map { unsafe $0 + 2 * batch }
      unsafe value.mask_offsets = first.map { unsafe $0 + 3 * batch }
      unsafe value.out_offsets = first.map { unsafe $0 + 4 * batch }
      unsafe (value.q_row, value.out_row) = (q.row, y.row)
      unsafe (value.k_row, value.k_column) = (k.row, k.column)
      unsafe (value.v_row, value.v_column) = (v.row, v.column)
      unsafe (value.mask_row, value.mask_column) = (mask?.row ?? 0, mask?.column ?? 0)
      return unsafe body(&value)
    }
  }

  /// Writes the rows of all pairs to `y`.
  package func run(
    _ q: Buffer,
    _ k: Buffer,
    _ v: Buffer,
    mask: Buffer?,
    _ y: Buffer,
    in context: KernelContext
  ) {
    precondition((mask == nil) == (self.mask == nil))
    guard !self.q.offsets.isEmpty else { return }
    let scratch = scratchBytes(context)
    let maskEnd = self.mask?.end(queries, keys) ?? 0
    unsafe withValue(context) { value in
      unsafe qk_f32_attention_run(
        value,
        q.elements(self.q.end(queries, depth), of: Float.self),
        k.elements(self.k.end(keys, depth), of: Float.self),
        v.elements(self.v.end(keys, columns), of: Float.self),
        mask.map { unsafe UnsafePointer($0.elements(maskEnd, of: Float.self)) },
        y.elements(self.y.end(queries, columns), of: Float.self),
        context.pool,
        context.scratch(scratch)
      )
    }
  }
}
