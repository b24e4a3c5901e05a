public import BinaryIO

/// A strided range per axis, numpy semantics; the ranges are attributes, or i64 inputs `starts, ends, axes, steps`.
public struct Slice: OpPayload {
  /// First index per axis.
  public var starts: [Int]?
  /// Index after the last one per axis.
  public var ends: [Int]?
  /// The axes; nil: the first ones.
  public var axes: [Int]?
  /// Steps, not 0; nil: 1.
  public var steps: [Int]?

  public init(starts: [Int]? = nil, ends: [Int]? = nil, axes: [Int]? = nil, steps: [Int]? = nil) {
    self.starts = starts
    self.ends = ends
    self.axes = axes
    self.steps = steps
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    starts = try a.ints("starts")
    ends = try a.ints("ends")
    axes = try a.ints("axes")
    steps = try a.ints("steps")
  }

  public var name: String { "slice" }
  public var inputCount: ClosedRange<Int> { 1...5 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("starts", starts)
    result.set("ends", ends)
    result.set("axes", axes)
    result.set("steps", steps)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
