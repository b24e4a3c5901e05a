public import BinaryIO

/// The same elements under another shape; the shape is an attribute, or an i64 input where it is computed.
public struct Reshape: OpPayload {
  /// Extents: 0 copies the input's, one -1 is computed; nil: given by the second input.
  public var shape: [Int]?
  /// Whether 0 means an extent of 0.
  public var allowZero: Bool

  public init(shape: [Int]? = nil, allowZero: Bool = false) {
    self.shape = shape
    self.allowZero = allowZero
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    shape = try a.ints("shape")
    allowZero = try a.bool("allow_zero") ?? false
  }

  public var name: String { "reshape" }
  public var inputCount: ClosedRange<Int> { 1...2 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("shape", shape)
    result.set("allow_zero", allowZero, unless: false)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
