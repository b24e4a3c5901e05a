public import BinaryIO

/// `x < 0 ? alpha·x : x`.
public struct LeakyRelu: OpPayload {
  /// Slope below 0.
  public var alpha: Float

  public init(alpha: Float = 0.01) {
    self.alpha = alpha
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    alpha = try a.float("alpha") ?? 0.01
  }

  public var name: String { "leaky_relu" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("alpha", alpha, unless: 0.01)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.float(0)
    try rule.require(alpha.isFinite, "a parameter is not finite")
    return try rule.result(x.dtype, x.dims)
  }
}
