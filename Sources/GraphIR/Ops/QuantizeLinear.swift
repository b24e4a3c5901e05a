public import BinaryIO

/// `saturate(rne(x / scale) + zero_point)`: the stub at a border from float to integer.
///
/// Inputs: `x`, `scale` (scalar or `[C]`), `zero_point` of the result's type.
public struct QuantizeLinear: OpPayload {
  /// Channel axis; nil: per tensor.
  public var axis: Int?

  public init(axis: Int? = nil) {
    self.axis = axis
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    axis = try a.int("axis")
  }

  public var name: String { "quantize_linear" }
  public var inputCount: ClosedRange<Int> { 3...3 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    if let axis { result.set("axis", axis) }
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.float(0)
    let zeroPoint = try rule.type(2)
    try rule.require(
      [.uint8, .int8, .uint16, .int16].contains(zeroPoint.dtype),
      "the zero point is \(zeroPoint), must be an 8 or 16 bit integer"
    )
    try rule.checkScale(1, axis: axis, of: x)
    try rule.require(try rule.type(1).dims == zeroPoint.dims, "scale and zero point differ in shape")
    return try rule.result(zeroPoint.dtype, x.dims)
  }
}
