public import BinaryIO

/// `activation(alpha · A' · B' + beta · C)`; `A'` is `A` or its transpose.
///
/// Inputs: `a`, whose leading axes together count its rows; the matrix `b`; optional `c` that broadcasts to the result.
public struct Gemm: OpPayload {
  /// Factor of the product.
  public var alpha: Float
  /// Factor of `c`.
  public var beta: Float
  /// Whether `a` is `[K, M]`.
  public var transA: Bool
  /// Whether `b` is `[N, K]`.
  public var transB: Bool
  /// Applied to the result.
  public var activation: Activation

  public init(
    alpha: Float = 1,
    beta: Float = 1,
    transA: Bool = false,
    transB: Bool = false,
    activation: Activation = .none
  ) {
    self.alpha = alpha
    self.beta = beta
    self.transA = transA
    self.transB = transB
    self.activation = activation
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    alpha = try a.float("alpha") ?? 1
    beta = try a.float("beta") ?? 1
    transA = try a.bool("trans_a") ?? false
    transB = try a.bool("trans_b") ?? false
    activation = try Activation(&a)
  }

  public var name: String { "gemm" }
  public var inputCount: ClosedRange<Int> { 2...3 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("alpha", alpha, unless: 1)
    result.set("beta", beta, unless: 1)
    result.set("trans_a", transA, unless: false)
    result.set("trans_b", transB, unless: false)
    activation.write(to: &result)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let a = try rule.float(0)
    let b = try rule.float(1)
    try rule.require(
      a.rank >= 2 && (a.rank == 2 || !transA) && b.rank == 2,
      "operands are \(a) and \(b), must be matrices"
    )
    try rule.require(alpha.isFinite && beta.isFinite, "alpha or beta is not finite")
    _ = try rule.same(a.dims[transA ? 0 : a.rank - 1], b.dims[transB ? 1 : 0], "inner extents differ")
    let dims = (transA ? [a.dims[1]] : a.dims.dropLast()) + [b.dims[transB ? 0 : 1]]
    if let c = rule.optional(2)?.type {
      let broadcast = try rule.broadcast(dims, c.dims)
      try rule.require(
        broadcast.count == dims.count && c.dtype == a.dtype,
        "input 2 is \(c), must broadcast to \(rule.describe(dims))"
      )
      for (wide, own) in zip(broadcast, dims) {
        _ = try rule.same(wide, own, "input 2 is larger than the result")
      }
    }
    return try rule.result(a.dtype, dims)
  }
}
