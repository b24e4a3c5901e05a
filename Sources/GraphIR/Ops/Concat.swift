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
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
