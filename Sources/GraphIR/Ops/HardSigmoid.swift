public import BinaryIO

/// `min(max(alpha·x + beta, 0), 1)`.
public struct HardSigmoid: OpPayload {
  /// Slope.
  public var alpha: Float
  /// Offset.
  public var beta: Float

  public init(alpha: Float = 0.2, beta: Float = 0.5) {
    self.alpha = alpha
    self.beta = beta
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    alpha = try a.float("alpha") ?? 0.2
    beta = try a.float("beta") ?? 0.5
  }

  public var name: String { "hard_sigmoid" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("alpha", alpha, unless: 0.2)
    result.set("beta", beta, unless: 0.5)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.float(0)
    try rule.require(alpha.isFinite && beta.isFinite, "a parameter is not finite")
    return try rule.result(x.dtype, x.dims)
  }
}
