public import BinaryIO

/// `(x − mean) / √(var + epsilon) · scale + bias` per channel (axis 1).
///
/// Inputs: `x`, `scale`, `bias`, `mean`, `var`, the last four `[C]`.
public struct BatchNorm: OpPayload {
  /// Added to the variance.
  public var epsilon: Float

  public init(epsilon: Float = 1e-5) {
    self.epsilon = epsilon
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    epsilon = try a.float("epsilon") ?? 1e-5
  }

  public var name: String { "batch_norm" }
  public var inputCount: ClosedRange<Int> { 5...5 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("epsilon", epsilon, unless: 1e-5)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.float(0)
    try rule.require(x.rank >= 2, "input is \(x), must have at least 2 axes")
    try rule.require(epsilon.isFinite && epsilon >= 0, "epsilon is \(epsilon)")
    for index in 1...4 {
      let parameter = try rule.type(index)
      try rule.require(parameter.rank == 1, "input \(index) is \(parameter), must be a vector")
      _ = try rule.same(x.dims[1], parameter.dims[0], "channels of the input and of input \(index) differ")
    }
    return try rule.result(x.dtype, x.dims)
  }
}
