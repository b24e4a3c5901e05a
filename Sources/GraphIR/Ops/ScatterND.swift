public import BinaryIO

/// `x` with slices replaced; inputs `x`, `indices` (i32 or i64, may be negative), `updates`.
///
/// `x: [D1...Dk, S...]`, `indices: [P..., k]` and `updates: [P..., S...]` give the type of `x`. Of slices that are
/// replaced several times, the last stays.
public struct ScatterND: OpPayload {

  public init() {
  }

  public var name: String { "scatter_nd" }
  public var inputCount: ClosedRange<Int> { 3...3 }
  public var outputCount: ClosedRange<Int> { 1...1 }
  public var attributes: Attributes { Attributes() }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    let indices = try rule.indices(1)
    let updates = try rule.type(2)
    try rule.require(indices.rank > 0, "the indices are \(indices)")
    let length = try rule.indexLength(indices, atMost: x.rank)
    let expected = indices.dims.dropLast() + x.dims[length...]
    try rule.require(
      updates.dtype == x.dtype && updates.rank == expected.count,
      "the updates are \(updates), the input is \(x), the indices are \(indices)"
    )
    for (given, wanted) in zip(updates.dims, expected) {
      _ = try rule.same(given, wanted, "the updates are \(updates), which the slices of \(x) do not fit")
    }
    return try rule.result(x.dtype, x.dims)
  }
}
