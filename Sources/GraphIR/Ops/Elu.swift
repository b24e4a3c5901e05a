public import BinaryIO

/// `scale · (x < 0 ? alpha·(eˣ − 1) : x)`.
public struct Elu: OpPayload {
  /// What the result goes to far below 0, negative and before scaling.
  public var alpha: Float
  /// Factor of the result.
  public var scale: Float

  public init(alpha: Float = 1, scale: Float = 1) {
    self.alpha = alpha
    self.scale = scale
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    alpha = try a.float("alpha") ?? 1
    scale = try a.float("scale") ?? 1
  }

  public var name: String { "elu" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("alpha", alpha, unless: 1)
    result.set("scale", scale, unless: 1)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.float(0)
    try rule.require(alpha.isFinite && scale.isFinite, "a parameter is not finite")
    return try rule.result(x.dtype, x.dims)
  }
}
