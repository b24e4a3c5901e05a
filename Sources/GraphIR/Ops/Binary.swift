public import BinaryIO

/// A pointwise function of two operands that broadcast against each other, as numpy's.
public struct Binary: OpPayload {
  /// Which function.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    case add
    case sub
    case mul
    case div
    case pow
    case min
    case max
    case mod
  }

  public var kind: Kind

  public init(_ kind: Kind) {
    self.kind = kind
  }

  public var name: String { kind.rawValue }
  public var inputCount: ClosedRange<Int> { 2...2 }
  public var outputCount: ClosedRange<Int> { 1...1 }
  public var attributes: Attributes { Attributes() }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let a = try rule.type(0)
    let b = try rule.type(1)
    try rule.require(a.dtype == b.dtype, "operands are \(a) and \(b), must have one element type")
    try rule.require(a.dtype != .bool, "operands are \(a) and \(b), must be numbers")
    return try rule.result(a.dtype, rule.broadcast(a.dims, b.dims))
  }
}
