public import BinaryIO

/// Operands joined along an axis.
public struct Concat: OpPayload {
  /// The axis.
  public var axis: Int

  public init(axis: Int) {
    self.axis = axis
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    axis = try a.required("axis", a.int("axis"))
  }

  public var name: String { "concat" }
  public var inputCount: ClosedRange<Int> { 1...65536 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("axis", axis)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    var result = try rule.type(0)
    let along = try rule.axis(axis, rank: result.rank)
    for index in inputs.indices.dropFirst() {
      let next = try rule.type(index)
      try rule.require(
        next.dtype == result.dtype && next.rank == result.rank,
        "input \(index) is \(next), input 0 is \(result)"
      )
      for axis in next.dims.indices {
        if axis != along {
          result.dims[axis] = try rule.same(
            result.dims[axis],
            next.dims[axis],
            "extents of axis \(axis) differ"
          )
        } else if let a = result.dims[axis].value, let b = next.dims[axis].value {
          guard let sum = Checked.sum(a, b) else { throw rule.refusal("the result is too large") }
          result.dims[axis] = .known(sum)
        } else {
          result.dims[axis] = .unknown
        }
      }
    }
    return try rule.result(result.dtype, result.dims)
  }
}
