public import BinaryIO

/// Conversion to another element type; float to integer truncates toward zero and saturates, NaN becomes 0.
public struct Cast: OpPayload {
  /// The result's element type.
  public var to: DType

  public init(to: DType) {
    self.to = to
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    to = try a.required("to", a.dtype("to"))
  }

  public var name: String { "cast" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("to", to.name)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    return try rule.result(to, x.dims)
  }
}
