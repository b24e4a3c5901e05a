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
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
