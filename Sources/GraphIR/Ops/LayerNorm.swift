public import BinaryIO

/// Normalisation over the axes from `axis` on; inputs `x`, `scale`, optional `bias`.
public struct LayerNorm: OpPayload {
  /// First normalised axis.
  public var axis: Int
  /// Added to the variance.
  public var epsilon: Float

  public init(axis: Int = -1, epsilon: Float = 1e-5) {
    self.axis = axis
    self.epsilon = epsilon
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    axis = try a.int("axis") ?? -1
    epsilon = try a.float("epsilon") ?? 1e-5
  }

  public var name: String { "layer_norm" }
  public var inputCount: ClosedRange<Int> { 2...3 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("axis", axis, unless: -1)
    result.set("epsilon", epsilon, unless: 1e-5)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
