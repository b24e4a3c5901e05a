public import BinaryIO

/// A pointwise predicate of two operands that broadcast; the result is `bool`.
public struct Compare: OpPayload {
  /// Which function.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    case equal
    case less
    case lessOrEqual = "less_or_equal"
    case greater
    case greaterOrEqual = "greater_or_equal"
    case and
    case or
    case xor
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
    switch kind {
    case .and, .or, .xor: try rule.require(a.dtype == .bool, "operands are \(a) and \(b), must be bool")
    case .equal, .less, .lessOrEqual, .greater, .greaterOrEqual: break
    }
    return try rule.result(.bool, rule.broadcast(a.dims, b.dims))
  }
}
