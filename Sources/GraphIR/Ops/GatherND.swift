public import BinaryIO

/// Slices chosen by the index vectors along the last axis of `indices`; inputs `x`, `indices` (i32 or i64, may be
/// negative).
///
/// `x: [B..., D1...Dk, S...]` and `indices: [B..., P..., k]` give `[B..., P..., S...]`.
public struct GatherND: OpPayload {
  /// How many leading axes `B...` both operands share.
  public var batchDims: Int

  public init(batchDims: Int = 0) {
    self.batchDims = batchDims
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    batchDims = try a.int("batch_dims") ?? 0
  }

  public var name: String { "gather_nd" }
  public var inputCount: ClosedRange<Int> { 2...2 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("batch_dims", batchDims, unless: 0)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    let indices = try rule.indices(1)
    try rule.require(
      batchDims >= 0 && batchDims < indices.rank && batchDims <= x.rank,
      "shares \(batchDims) axes, the input is \(x), the indices are \(indices)"
    )
    let length = try rule.indexLength(indices, atMost: x.rank - batchDims)
    for axis in 0..<batchDims {
      _ = try rule.same(x.dims[axis], indices.dims[axis], "shared axes differ")
    }
    return try rule.result(x.dtype, indices.dims.dropLast() + x.dims[(batchDims + length)...])
  }
}
