internal import BinaryIO
internal import GraphIR

extension Transpose {
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.input(0)
    return try Mover.pick(x, shape: e.shape(), offsets: Mover.permuted(x.shape, perm))
  }
}

extension Slice {
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.input(0)
    let rank = x.shape.count
    let starts = try Slice.list(self.starts, e, 1) ?? []
    let ends = try Slice.list(self.ends, e, 2) ?? []
    let axes = (try Slice.list(self.axes, e, 3) ?? Array(starts.indices)).map { $0 < 0 ? $0 + rank : $0 }
    let steps = try Slice.list(self.steps, e, 4) ?? starts.map { _ in 1 }
    var offsets = Mover.identity(x.shape)
    let strides = Mover.strides(x.shape)
    for (index, axis) in axes.enumerated() {
      let step = steps[index]
      let chosen = Slice.indices(extent: x.shape[axis], start: starts[index], end: ends[index], step: step)
      offsets[axis] = (0..<chosen.count).map { (chosen.first + $0 * step) * strides[axis] }
    }
    return try Mover.pick(x, shape: e.shape(), offsets: offsets)
  }

  private static func list(_ attribute: [Int]?, _ e: Evaluation, _ index: Int) throws(Refusal) -> [Int]? {
    guard attribute == nil, let tensor = e.optional(index) else { return attribute }
    return try tensor.integers()
  }
}

extension Expand {
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.input(0)
    let shape = try e.shape()
    let strides = Broadcast.strides(of: x.shape, in: shape)
    return try Mover.pick(
      x,
      shape: shape,
      offsets: shape.indices.map { axis in (0..<shape[axis]).map { $0 * strides[axis] } }
    )
  }
}

extension Split {
  func evaluate(_ e: Evaluation) throws(Refusal) -> [Tensor] {
    let x = try e.input(0)
    let along = axis < 0 ? axis + x.shape.count : axis
    var first = 0
    var parts: [Tensor] = []
    for index in e.types.indices {
      let shape = try e.shape(index)
      let coordinates = Array(first..<first + shape[along])
      parts.append(
        try Mover.pick(x, shape: shape, offsets: Mover.select(x.shape, axis: along, coordinates))
      )
      first += shape[along]
    }
    return parts
  }
}

extension Gather {
  /// - Throws: A refusal when an index is outside of the axis.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.input(0)
    let along = axis < 0 ? axis + x.shape.count : axis
    let extent = x.shape[along]
    let indices = try e.input(1).integers()
    for index in indices where index < -extent || index >= extent {
      throw Evaluation.refusal("T-gather", "index \(index) is outside of \(-extent)..<\(extent)")
    }
    let coordinates = indices.map { $0 < 0 ? $0 + extent : $0 }
    var shape = x.shape
    shape[along] = coordinates.count
    let picked = try Mover.pick(x, shape: shape, offsets: Mover.select(x.shape, axis: along, coordinates))
    guard let result = picked.reshaped(try e.shape()) else {
      throw Evaluation.refusal("T-gather", "the result does not fill its shape")
    }
    return result
  }
}

extension Pad {
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.input(0)
    return try evaluate(x, shape: e.shape(), filler: Casting.tensor([Double(value)], x.dtype, [1]))
  }

  /// The padded tensor, with one element that fills.
  func evaluate(_ x: Tensor, shape: [Int], filler: Tensor) throws(Refusal) -> Tensor {
    let strides = Mover.strides(x.shape)
    let offsets = x.shape.indices.map { axis in
      (0..<shape[axis]).map { position in
        source(position - pads[axis], extent: x.shape[axis]).map { $0 * strides[axis] } ?? Mover.filled
      }
    }
    return try Mover.pick(x, shape: shape, offsets: offsets, filler: filler)
  }

  /// The coordinate inside the input that a position before or behind it takes; nil for the constant.
  func source(_ coordinate: Int, extent: Int) -> Int? {
    guard coordinate < 0 || coordinate >= extent else { return coordinate }
    switch mode {
    case .constant: return nil
    case .edge: return Swift.min(Swift.max(coordinate, 0), extent - 1)
    case .reflect:
      let mirrored = coordinate < 0 ? -coordinate : 2 * (extent - 1) - coordinate
      return Swift.min(Swift.max(mirrored, 0), extent - 1)
    }
  }
}

extension Concat {
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    var operands: [Tensor] = []
    for index in e.inputs.indices { operands.append(try e.input(index)) }
    return try Concat.join(operands, axis: axis, dtype: e.dtype, shape: e.shape())
  }

  /// The operands one after another along `axis`.
  static func join(_ operands: [Tensor], axis: Int, dtype: DType, shape: [Int]) throws(Refusal) -> Tensor {
    let along = axis < 0 ? axis + shape.count : axis
    let outer = shape[..<along].reduce(1, *)
    let inner = shape[(along + 1)...].reduce(1, *) * dtype.size
    let row = shape[along] * inner
    let bytes = try unsafe ByteSlice.build(count: row * outer) { (target) throws(Refusal) in
      var column = 0
      for operand in operands {
        let length = operand.shape[along] * inner
        unsafe operand.bytes.withUnsafeBytes { source in
          for block in 0..<outer {
            let from = unsafe UnsafeRawBufferPointer(rebasing: source[block * length..<(block + 1) * length])
            let start = block * row + column
            unsafe UnsafeMutableRawBufferPointer(rebasing: target[start..<start + length]).copyMemory(
              from: from
            )
          }
        }
        column += length
      }
    }
    guard let tensor = Tensor(dtype, shape, bytes: bytes) else {
      throw Evaluation.refusal("T-concat", "the operands do not fill the shape \(shape)")
    }
    return tensor
  }
}
