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
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
