public import BinaryIO

/// `(q − zero_point) · scale`: the stub at a border from integer to float.
///
/// Inputs: `q`, `scale` (scalar, `[C]` with an axis, or the shape of `q` with a last extent of 1: one per row), optional
/// `zero_point` (absent: 0).
public struct DequantizeLinear: OpPayload {
  /// Channel axis; nil: per tensor.
  public var axis: Int?

  public init(axis: Int? = nil) {
    self.axis = axis
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    axis = try a.int("axis")
  }

  public var name: String { "dequantize_linear" }
  public var inputCount: ClosedRange<Int> { 2...3 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    if let axis { result.set("axis", axis) }
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let q = try rule.type(0)
    try rule.require(
      [.uint8, .int8, .uint16, .int16, .int32].contains(q.dtype),
      "input 0 is \(q), must be a quantized integer"
    )
    try checkScale(rule, q)
    if let zeroPoint = rule.optional(2)?.type {
      try rule.require(zeroPoint.dtype == q.dtype, "the zero point is \(zeroPoint), the input is \(q)")
      try rule.require(try rule.type(1).dims == zeroPoint.dims, "scale and zero point differ in shape")
    }
    return try rule.result(rule.type(1).dtype, q.dims)
  }

  private func checkScale(_ rule: TypeRule, _ q: TensorType) throws(Refusal) {
    let scale = try rule.float(1)
    guard axis == nil, scale.rank >= 2, scale.rank == q.rank else {
      return try rule.checkScale(1, axis: axis, of: q)
    }
    _ = try rule.same(scale.dims[q.rank - 1], 1, "the last extent of a scale per row")
    for (own, extent) in zip(scale.dims, q.dims).dropLast() {
      _ = try rule.same(own, extent, "the scale's rows and the data's differ")
    }
  }
}
