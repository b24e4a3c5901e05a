public import BinaryIO

/// Broadcast to a shape, an attribute or an i64 input.
public struct Expand: OpPayload {
  /// Extents; nil: given by the second input.
  public var shape: [Int]?

  public init(shape: [Int]? = nil) {
    self.shape = shape
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    shape = try a.ints("shape")
  }

  public var name: String { "expand" }
  public var inputCount: ClosedRange<Int> { 1...2 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("shape", shape)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
