internal import BinaryIO
internal import GraphIR

extension GatherElements {
  /// - Throws: A refusal when an index is outside of the axis.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.input(0)
    let along = axis < 0 ? axis + x.shape.count : axis
    let shape = try e.shape()
    var strides = Mover.strides(x.shape)
    let stride = strides[along]
    strides[along] = 0
    var offsets = [0]
    for (extent, stride) in zip(shape, strides) {
      offsets = offsets.flatMap { base in (0..<extent).map { base + $0 * stride } }
    }
    for (place, index) in try e.input(1).integers().enumerated() {
      offsets[place] += try e.coordinate(index, extent: x.shape[along], "gather_elements") * stride
    }
    return try e.reshaped(Mover.pick(x, shape: [offsets.count], offsets: [offsets]))
  }
}

extension GatherND {
  /// - Throws: A refusal when an index is outside of its axis.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.input(0)
    let places = try e.slices(of: x, at: e.input(1), sharing: batchDims, "gather_nd")
    let offsets = [places.first, Array(0..<places.count)]
    return try e.reshaped(Mover.pick(x, shape: offsets.map(\.count), offsets: offsets))
  }
}

extension ScatterND {
  /// - Throws: A refusal when an index is outside of its axis.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.input(0)
    let updates = try e.input(2)
    let places = try e.slices(of: x, at: e.input(1), sharing: 0, "scatter_nd")
    let size = places.count * x.dtype.size
    let bytes = try unsafe ByteSlice.build(count: x.count * x.dtype.size) { (target) throws(Refusal) in
      unsafe x.bytes.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
      unsafe updates.bytes.withUnsafeBytes { source in
        for (index, first) in places.first.enumerated() {
          let start = first * x.dtype.size
          unsafe UnsafeMutableRawBufferPointer(rebasing: target[start..<start + size]).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: source[index * size..<(index + 1) * size])
          )
        }
      }
    }
    guard let result = Tensor(x.dtype, x.shape, bytes: bytes) else {
      throw Evaluation.refusal("T-scatter_nd", "the result does not fill its shape")
    }
    return result
  }
}

extension CumSum {
  /// Integers wrap; floating point is summed in f64 and each sum rounded once.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.input(0)
    if let reals = Casting.reals(x) {
      return try Casting.tensor(sums(reals, x.shape, +), x.dtype, x.shape)
    }
    return try Tensor.integers(x.dtype, x.shape, sums(x.integers(), x.shape, &+))
  }

  private func sums<Element: Numeric>(
    _ values: [Element],
    _ shape: [Int],
    _ add: (Element, Element) -> Element
  ) -> [Element] {
    let along = axis < 0 ? axis + shape.count : axis
    let stride = Mover.strides(shape)[along]
    var result = values
    for start in values.indices where start / stride % shape[along] == 0 {
      var sum = Element.zero
      for position in 0..<shape[along] {
        let index = start + (isReverse ? shape[along] - 1 - position : position) * stride
        let next = add(sum, values[index])
        result[index] = isExclusive ? sum : next
        sum = next
      }
    }
    return result
  }
}

extension Tile {
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.input(0)
    let shape = try e.shape()
    let strides = Mover.strides(x.shape)
    let offsets = shape.indices.map { axis in
      (0..<shape[axis]).map { $0 % x.shape[axis] * strides[axis] }
    }
    return try Mover.pick(x, shape: shape, offsets: offsets)
  }
}

extension Evaluation {
  /// An index counted from the front.
  fileprivate func coordinate(_ index: Int, extent: Int, _ name: String) throws(Refusal) -> Int {
    guard index >= -extent, index < extent else {
      throw Evaluation.refusal("T-\(name)", "index \(index) is outside of \(-extent)..<\(extent)")
    }
    return index < 0 ? index + extent : index
  }

  /// The slices that index vectors choose: the element where each begins, and how many elements one has.
  fileprivate func slices(
    of x: Tensor,
    at indices: Tensor,
    sharing batchDims: Int,
    _ name: String
  ) throws(Refusal) -> (first: [Int], count: Int) {
    let length = indices.shape.last ?? 0
    let strides = Mover.strides(x.shape)
    let values = try indices.integers()
    let vectors = indices.shape.dropLast().reduce(1, *)
    let batches = indices.shape[..<batchDims].reduce(1, *)
    let batch = x.shape[batchDims...].reduce(1, *)
    var first: [Int] = []
    for vector in 0..<vectors {
      var offset = vector / Swift.max(vectors / Swift.max(batches, 1), 1) * batch
      for item in 0..<length {
        let axis = batchDims + item
        offset +=
          try coordinate(values[vector * length + item], extent: x.shape[axis], name) * strides[axis]
      }
      first.append(offset)
    }
    return (first, x.shape[(batchDims + length)...].reduce(1, *))
  }

  /// A tensor under the shape of the first result, which it fills.
  fileprivate func reshaped(_ tensor: Tensor) throws(Refusal) -> Tensor {
    guard let result = tensor.reshaped(try shape()) else {
      throw Evaluation.refusal("V1", "the result does not fill its shape")
    }
    return result
  }
}
