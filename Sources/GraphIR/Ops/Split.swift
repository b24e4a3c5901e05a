public import BinaryIO

/// Parts along an axis, one per output.
public struct Split: OpPayload {
  /// The axis.
  public var axis: Int
  /// Extents; nil: equal parts, the last one smaller.
  public var sizes: [Int]?

  public init(axis: Int = 0, sizes: [Int]? = nil) {
    self.axis = axis
    self.sizes = sizes
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    axis = try a.int("axis") ?? 0
    sizes = try a.ints("sizes")
  }

  public var name: String { "split" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...65536 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("axis", axis, unless: 0)
    result.set("sizes", sizes)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
