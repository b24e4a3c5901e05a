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
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
