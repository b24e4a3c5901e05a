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
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
