public import BinaryIO

/// Elements chosen along an axis, for each place of the result by an index of its own; inputs `x`, `indices` (i32 or
/// i64, may be negative).
public struct GatherElements: OpPayload {
  /// The axis that the indices run along; along the others, places are kept.
  public var axis: Int

  public init(axis: Int = 0) {
    self.axis = axis
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    axis = try a.int("axis") ?? 0
  }

  public var name: String { "gather_elements" }
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
    try rule.require(indices.rank == x.rank, "the indices are \(indices), the input is \(x)")
    for (index, (chosen, extent)) in zip(indices.dims, x.dims).enumerated() where index != along {
      guard let chosen = chosen.value, let extent = extent.value else { continue }
      try rule.require(chosen <= extent, "the indices are \(indices), the input is \(x)")
    }
    return try rule.result(x.dtype, indices.dims)
  }
}
