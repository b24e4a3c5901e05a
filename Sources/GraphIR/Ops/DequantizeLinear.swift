public import BinaryIO

/// `(q − zero_point) · scale`: the stub at a border from integer to float.
///
/// Inputs: `q`, `scale` (scalar or `[C]`), optional `zero_point` (absent: 0).
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
    try rule.checkScale(1, axis: axis, of: q)
    if let zeroPoint = rule.optional(2)?.type {
      try rule.require(zeroPoint.dtype == q.dtype, "the zero point is \(zeroPoint), the input is \(q)")
      try rule.require(try rule.type(1).dims == zeroPoint.dims, "scale and zero point differ in shape")
    }
    return try rule.result(rule.type(1).dtype, q.dims)
  }
}
