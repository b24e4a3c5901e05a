public import BinaryIO

/// A pointwise function without attributes.
public struct Unary: OpPayload {
  /// Which function.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    case relu
    case sigmoid
    case hardSwish = "hard_swish"
    case silu
    case tanh
    case erf
    case exp
    case log
    case sqrt
    case reciprocal
    case neg
    case abs
    case floor
    case ceil
    case round
    case sign
    case sin
    case cos
    case softplus
    case mish
    case not
  }

  public var kind: Kind

  public init(_ kind: Kind) {
    self.kind = kind
  }

  public var name: String { kind.rawValue }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }
  public var attributes: Attributes { Attributes() }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    switch kind {
    case .not: try rule.require(x.dtype == .bool, "input is \(x), must be bool")
    case .relu, .neg, .abs, .sign: try rule.require(x.dtype != .bool, "input is \(x), must be a number")
    case .sigmoid, .hardSwish, .silu, .tanh, .erf, .exp, .log, .sqrt, .reciprocal, .floor, .ceil, .round,
      .sin, .cos,
      .softplus, .mish:
      try rule.require(x.dtype.isFloatingPoint, "input is \(x), must be floating point")
    }
    return try rule.result(x.dtype, x.dims)
  }
}
