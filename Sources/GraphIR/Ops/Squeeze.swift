public import BinaryIO

/// Removal of axes with extent 1.
public struct Squeeze: OpPayload {
  /// The axes; nil: all with extent 1.
  public var axes: [Int]?

  public init(axes: [Int]? = nil) {
    self.axes = axes
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    axes = try a.ints("axes")
  }

  public var name: String { "squeeze" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("axes", axes)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
