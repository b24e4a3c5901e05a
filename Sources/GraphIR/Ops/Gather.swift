public import BinaryIO

/// Entries of an axis chosen by index; inputs `x`, `indices` (i32 or i64, may be negative).
public struct Gather: OpPayload {
  /// The axis.
  public var axis: Int

  public init(axis: Int = 0) {
    self.axis = axis
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    axis = try a.int("axis") ?? 0
  }

  public var name: String { "gather" }
  public var inputCount: ClosedRange<Int> { 2...2 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("axis", axis, unless: 0)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
