public import BinaryIO

/// Mean or maximum over all spatial axes, which stay with extent 1.
public struct GlobalPool: OpPayload {
  /// Which function.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    case average = "global_average_pool"
    case max = "global_max_pool"
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
    try rule.require(x.rank >= 3, "input is \(x), must have spatial axes")
    try rule.require(!x.dims[2...].contains(0), "input is \(x): a spatial extent is 0")
    return try rule.result(x.dtype, Array(x.dims[..<2]) + x.dims[2...].map { _ in 1 })
  }
}
