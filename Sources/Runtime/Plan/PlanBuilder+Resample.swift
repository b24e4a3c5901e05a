internal import BinaryIO
internal import GraphIR
internal import Kernels

extension PlanBuilder {
  /// By nearest neighbour, or f32 over one or two axes by linear interpolation.
  mutating func addResize(_ op: Resize, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first, step.outputs.count == 1,
      op.scales.map({ $0.prefix(2).allSatisfy { $0 == 1 } }) ?? true
    else { return false }
    switch op.mode {
    case .nearest:
      return try addPick("resize", x, y, filler: 0) { (axis, input, output) throws(Refusal) in
        try op.nearestIndices(axis, input, output)
      }
    case .linear: return try addLinearResize(op, x, y)
    case .cubic: return false
    }
  }

  private mutating func addLinearResize(_ op: Resize, _ x: ValueID, _ y: ValueID) throws(Refusal) -> Bool {
    let (from, to) = (shape(x), shape(y))
    guard dtype(x) == .float32, from.count == 3 || from.count == 4, from[..<2] == to[..<2],
      (from + to).allSatisfy({ $0 > 0 })
    else { return false }
    let last = from.count - 1
    let kernel = BilinearKernel(
      batch: from[0],
      channels: from[1],
      height: last == 3 ? from[2] : 1,
      width: from[last],
      rows: last == 3 ? try op.taps(2, from[2], to[2]) : [LinearTap(low: 0, high: 0, weight: 0)],
      columns: try op.taps(last, from[last], to[last])
    )
    let source = try read(x, .channelsLast)
    let target = write(y, .channelsLast)
    add("f32 linear resize", reads: [source], writes: [target]) { (run) throws(Refusal) in
      kernel.run(run[source], run[target], in: run.context)
    }
    return true
  }

  /// - Parameter byte: What fills u8, where the padding is constant.
  mutating func addPad(_ op: Pad, byte: UInt8 = 0, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first, step.outputs.count == 1 else { return false }
    let bits = dtype(x) == .uint8 ? UInt32(byte) : op.value.bitPattern
    return try addPick("pad", x, y, filler: bits) { (axis, input, output) throws(Refusal) in
      (0..<output).map { op.source($0 - op.pads[axis], extent: input) ?? PixelPick.filled }
    }
  }

  /// Pixels chosen along each spatial axis; false for other element types and where batch or channels change.
  ///
  /// - Parameters:
  ///   - name: For profiles.
  ///   - x: The operand.
  ///   - y: The result.
  ///   - filler: The bits of an element, of which u8 takes the lowest.
  ///   - indices: For an axis and its extents before and after, what each place takes.
  private mutating func addPick(
    _ name: String,
    _ x: ValueID,
    _ y: ValueID,
    filler: UInt32,
    _ indices: (Int, Int, Int) throws(Refusal) -> [Int]
  ) throws(Refusal) -> Bool {
    let (from, to) = (shape(x), shape(y))
    guard dtype(x) == .float32 || dtype(x) == .uint8, (3...5).contains(from.count), from.count == to.count,
      from[..<2] == to[..<2], (from + to).allSatisfy({ $0 > 0 })
    else { return false }
    let last = from.count - 1
    // The first pixel of each row, over all spatial axes but the last.
    var rows = [0]
    for axis in 2..<last {
      let chosen = try indices(axis, from[axis], to[axis])
      rows = rows.flatMap { row in
        chosen.map { min(row, $0) == PixelPick.filled ? PixelPick.filled : row * from[axis] + $0 }
      }
    }
    let element = dtype(x) == .uint8 ? [UInt8(truncatingIfNeeded: filler)] : filler.littleEndianBytes
    let pick = PixelPick(
      batch: from[0],
      inputPixels: from[2...].reduce(1, *),
      rows: rows.map { $0 == PixelPick.filled ? $0 : $0 * from[last] },
      columns: try indices(last, from[last], to[last]),
      filler: Array(repeating: element, count: from[1]).flatMap { $0 }
    )
    let source = try read(x, .channelsLast)
    let target = write(y, .channelsLast)
    add("\(dtype(x).name) \(name)", reads: [source], writes: [target]) { (run) throws(Refusal) in
      pick.run(run[source], run[target], in: run.context)
    }
    return true
  }
}

extension Resize {
  /// The neighbours of every output position of an axis.
  fileprivate func taps(_ axis: Int, _ input: Int, _ output: Int) throws(Refusal) -> [LinearTap] {
    try axisCoordinates(axis, input, output).map { coordinate in
      let low = coordinate.rounded(.down)
      func clamped(_ position: Int) -> Int { Swift.min(Swift.max(position, 0), input - 1) }
      return LinearTap(
        low: clamped(Casting.integer(low)),
        high: clamped(Casting.integer(low + 1)),
        weight: Float(coordinate - low)
      )
    }
  }
}

extension UInt32 {
  fileprivate var littleEndianBytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: self >> (8 * $0)) } }
}
