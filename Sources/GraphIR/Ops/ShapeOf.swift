public import BinaryIO

/// The extents of the operand as an i64 vector.
public struct ShapeOf: OpPayload {
  /// First axis.
  public var start: Int
  /// Axis after the last one.
  public var end: Int?

  public init(start: Int = 0, end: Int? = nil) {
    self.start = start
    self.end = end
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    start = try a.int("start") ?? 0
    end = try a.int("end")
  }

  public var name: String { "shape" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("start", start, unless: 0)
    if let end { result.set("end", end) }
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    return try rule.result(.int64, [.known(range(rank: x.rank).count)])
  }

  /// The axes whose extents are returned; both ends are clamped to the rank.
  package func range(rank: Int) -> Range<Int> {
    func clamp(_ axis: Int) -> Int { Swift.min(Swift.max(axis < 0 ? axis + rank : axis, 0), rank) }
    let first = clamp(Swift.max(start, -rank))
    let last = end.map { clamp(Swift.max($0, -rank)) } ?? rank
    return first..<Swift.max(first, last)
  }
}
