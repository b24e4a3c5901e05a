internal import BinaryIO
internal import GraphIR
internal import Kernels

extension PlanBuilder {
  /// One operation for all steps of a match.
  mutating func addAttention(_ match: AttentionMatch) throws(Refusal) {
    let scores = shape(match.q).dropLast() + [shape(match.keys).last ?? 0]
    let leading = Array(shape(match.y).dropLast(2))
    let q = try matrices(match.q, over: leading, hasDenseRows: true)
    let keys = try matrices(match.keys, over: leading)
    let v = try matrices(match.v, over: leading)
    var mask: (matrices: AttentionKernel.Matrices, source: SlotID)?
    if let id = match.mask { mask = try matrices(id, over: leading, broadcastTo: scores.suffix(2)) }
    let (target, y) = attentionResult(match, leading)
    var kernel = AttentionKernel(
      queries: scores[scores.count - 2],
      keys: scores[scores.count - 1],
      depth: shape(match.q).last ?? 0,
      columns: shape(match.v).last ?? 0,
      q: q.matrices,
      k: AttentionKernel.Matrices(
        offsets: keys.matrices.offsets,
        row: keys.matrices.column,
        column: keys.matrices.row
      ),
      v: v.matrices,
      mask: mask?.matrices,
      y: y
    )
    kernel.factor = match.factor
    kernel.isGuarded = match.isGuarded
    let attention = kernel
    let sources = (q.source, keys.source, v.source, mask?.source)
    add(
      "f32 attention",
      reads: [sources.0, sources.1, sources.2] + (mask.map { [$0.source] } ?? []),
      writes: [target],
      scratch: attention.scratchBytes(context),
      joining: match.steps
    ) { (run) throws(Refusal) in
      attention.run(
        run[sources.0],
        run[sources.1],
        run[sources.2],
        mask: sources.3.map { run[$0] },
        run[target],
        in: run.context
      )
    }
  }

  /// The slot of the result, in the order of axes that the next step wants, and where its matrices lie.
  private mutating func attentionResult(
    _ match: AttentionMatch,
    _ leading: [Int]
  ) -> (SlotID, AttentionKernel.Matrices) {
    var strides = Mover.strides(shape(match.y))
    let value = match.transposed?.value ?? match.y
    if let perm = match.transposed?.perm {
      for (stride, axis) in zip(Mover.strides(shape(value)), perm) { strides[axis] = stride }
    }
    let rank = strides.count
    let y = AttentionKernel.Matrices(
      offsets: offsets(0, Array(strides.dropLast(2)), over: leading),
      row: strides[rank - 2],
      column: strides[rank - 1]
    )
    return (write(value, .plain), y)
  }

  /// The matrices of a value, one per index of `leading`, and where it lies.
  ///
  /// - Parameters:
  ///   - id: The value.
  ///   - leading: The extents that the value's leading axes broadcast to.
  ///   - hasDenseRows: Whether the columns have to be neighbours.
  ///   - extents: What the last two axes broadcast to, if they do; the columns are neighbours or the same, then.
  private mutating func matrices(
    _ id: ValueID,
    over leading: [Int],
    hasDenseRows: Bool = false,
    broadcastTo extents: ArraySlice<Int>? = nil
  ) throws(Refusal) -> (matrices: AttentionKernel.Matrices, source: SlotID) {
    let rank = leading.count + 2
    let own = shape(id)
    let padded = [Int](repeating: 1, count: rank - own.count) + own
    func strides(_ view: LazyView) -> [Int] {
      let all = [Int](repeating: 0, count: rank - own.count) + view.strides
      return zip(padded, all).map { $0 == 1 ? 0 : $1 }
    }
    var view = try view(id)
    let column = strides(view)[rank - 1]
    if column > 1 && (hasDenseRows || extents != nil) {
      let slot = try read(id, .plain)
      view = LazyView(source: slot, extents: own, strides: Mover.strides(own))
    }
    let all = strides(view)
    let matrices = AttentionKernel.Matrices(
      offsets: offsets(view.offset, Array(all.dropLast(2)), over: leading),
      row: all[rank - 2],
      column: hasDenseRows ? 1 : all[rank - 1]
    )
    return (matrices, view.source)
  }

  /// The elements that indices of axes with these extents and strides reach, in C order.
  func offsets(_ first: Int, _ strides: [Int], over extents: [Int]) -> [Int] {
    var result = [first]
    for (extent, stride) in zip(extents, strides) {
      result = result.flatMap { start in (0..<extent).map { start + $0 * stride } }
    }
    return result
  }
}
