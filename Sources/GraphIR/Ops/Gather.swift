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
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    let indices = try rule.indices(1)
    let along = try rule.axis(axis, rank: x.rank)
    if let extent = x.dims[along].value, let values = rule.optional(1)?.constant?.intValues() {
      for value in values {
        try rule.require(
          value >= -extent && value < extent,
          "index \(value) is outside of \(-extent)..<\(extent)"
        )
      }
    }
    return try rule.result(
      x.dtype,
      Array(x.dims[..<along]) + indices.dims + Array(x.dims[(along + 1)...])
    )
  }
}
