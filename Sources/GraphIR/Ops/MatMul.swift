public import BinaryIO

/// Matrix product with broadcast leading axes, as numpy's `matmul`.
public struct MatMul: OpPayload {

  public init() {
  }

  public var name: String { "matmul" }
  public var inputCount: ClosedRange<Int> { 2...2 }
  public var outputCount: ClosedRange<Int> { 1...1 }
  public var attributes: Attributes { Attributes() }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let a = try rule.type(0)
    let b = try rule.type(1)
    try rule.require(a.dtype == b.dtype, "operands are \(a) and \(b), must have one element type")
    try rule.require(a.rank >= 1 && b.rank >= 1, "operands are \(a) and \(b), must have at least one axis")
    let left = a.rank == 1 ? [1] + a.dims : a.dims
    let right = b.rank == 1 ? b.dims + [1] : b.dims
    _ = try rule.same(left[left.count - 1], right[right.count - 2], "inner extents differ")
    var dims = try rule.broadcast(Array(left.dropLast(2)), Array(right.dropLast(2)))
    if a.rank > 1 { dims.append(left[left.count - 2]) }
    if b.rank > 1 { dims.append(right[right.count - 1]) }
    return try rule.result(a.dtype, dims)
  }
}
