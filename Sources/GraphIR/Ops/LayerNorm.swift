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
    let rule = try TypeRule(self, inputs)
    let x = try rule.float(0)
    let first = try rule.axis(axis, rank: x.rank)
    try rule.require(epsilon.isFinite && epsilon >= 0, "epsilon is \(epsilon)")
    let normalized = Array(x.dims[first...])
    try rule.require(!normalized.contains(.known(0)), "the normalised extent is 0")
    for index in 1...2 {
      guard let parameter = rule.optional(index)?.type else { continue }
      let broadcast = try rule.broadcast(normalized, parameter.dims)
      try rule.require(
        broadcast.count == normalized.count,
        "input \(index) is \(parameter), the input is \(x)"
      )
    }
    return try rule.result(x.dtype, x.dims)
  }
}
