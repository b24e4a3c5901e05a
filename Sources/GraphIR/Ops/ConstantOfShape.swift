public import BinaryIO

/// A tensor of one repeated value; its shape is the i64 input.
public struct ConstantOfShape: OpPayload {
  /// Element type.
  public var dtype: DType
  /// The value.
  public var value: Float

  public init(dtype: DType, value: Float = 0) {
    self.dtype = dtype
    self.value = value
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    dtype = try a.required("dtype", a.dtype("dtype"))
    value = try a.float("value") ?? 0
  }

  public var name: String { "constant_of_shape" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("dtype", dtype.name)
    result.set("value", value, unless: 0)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let operand = try rule.operand(0)
    let values = try rule.ints(0)
    if let dims = operand.shapeValue ?? values?.map(Dim.known) {
      for dim in dims { try rule.require((dim.value ?? 0) >= 0, "the shape has an extent of \(dim)") }
      return try rule.result(dtype, dims)
    }
    guard let rank = operand.type.dims.first?.value else {
      throw rule.refusal(
        "the number of axes of the result is not known",
        remedy: "export the model with a fixed rank"
      )
    }
    return try rule.result(dtype, Array(repeating: .unknown, count: rank))
  }
}
