internal import BinaryIO
internal import GraphIR

extension Compare {
  /// NaN compares false.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let a = try e.input(0)
    let b = try e.input(1)
    let walk = Broadcast(try e.shape(), [a.shape, b.shape])
    var result = [UInt8](repeating: 0, count: try e.shape().reduce(1, *))
    switch a.dtype {
    case .float64:
      let (x, y) = (a.elements(as: Double.self), b.elements(as: Double.self))
      walk.visit { (index, offsets) in result[index] = holds(x[offsets[0]], y[offsets[1]]) ? 1 : 0 }
    case .float32, .float16, .bfloat16:
      let (x, y) = (try e.real(0).elements(as: Float.self), try e.real(1).elements(as: Float.self))
      walk.visit { (index, offsets) in result[index] = holds(x[offsets[0]], y[offsets[1]]) ? 1 : 0 }
    case .uint64:
      let (x, y) = (a.elements(as: UInt64.self), b.elements(as: UInt64.self))
      walk.visit { (index, offsets) in result[index] = holds(x[offsets[0]], y[offsets[1]]) ? 1 : 0 }
    case .int8, .uint8, .int16, .uint16, .int32, .uint32, .int64, .bool:
      let (x, y) = (try a.integers(), try b.integers())
      walk.visit { (index, offsets) in result[index] = holds(x[offsets[0]], y[offsets[1]]) ? 1 : 0 }
    }
    return try Tensor.make(.bool, e.shape(), result)
  }

  private func holds<Element: Numeric & Comparable>(_ a: Element, _ b: Element) -> Bool {
    switch kind {
    case .equal: a == b
    case .less: a < b
    case .lessOrEqual: a <= b
    case .greater: a > b
    case .greaterOrEqual: a >= b
    case .and: a != 0 && b != 0
    case .or: a != 0 || b != 0
    case .xor: (a != 0) != (b != 0)
    }
  }
}

extension Where {
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    switch try e.input(1).dtype.size {
    case 1: try choose(e, as: UInt8.self)
    case 2: try choose(e, as: UInt16.self)
    case 4: try choose(e, as: UInt32.self)
    default: try choose(e, as: UInt64.self)
    }
  }

  private func choose<Element: BitwiseCopyable>(
    _ e: Evaluation,
    as element: Element.Type
  ) throws(Refusal) -> Tensor {
    let (condition, a, b) = (try e.input(0), try e.input(1), try e.input(2))
    let (flags, x, y) = (
      condition.elements(as: UInt8.self), a.elements(as: Element.self), b.elements(as: Element.self)
    )
    let shape = try e.shape()
    return try unsafe Tensor.build(a.dtype, shape, as: Element.self) { (result) throws(Refusal) in
      Broadcast(shape, [condition.shape, a.shape, b.shape]).visit { (index, offsets) in
        unsafe result[index] = flags[offsets[0]] != 0 ? x[offsets[1]] : y[offsets[2]]
      }
    }
  }
}
