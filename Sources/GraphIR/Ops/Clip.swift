public import BinaryIO

/// `min(max(x, min), max)` with constant bounds; an absent bound is infinite.
public struct Clip: OpPayload {
  /// Lower bound.
  public var min: Float
  /// Upper bound.
  public var max: Float

  public init(min: Float = -.infinity, max: Float = .infinity) {
    self.min = min
    self.max = max
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    min = try a.float("min") ?? -.infinity
    max = try a.float("max") ?? .infinity
  }

  public var name: String { "clip" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("min", min, unless: -.infinity)
    result.set("max", max, unless: .infinity)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    try rule.require(!min.isNaN && !max.isNaN, "a bound is not a number")
    try rule.require(x.dtype != .bool, "input is \(x), must be a number")
    return try rule.result(x.dtype, x.dims)
  }
}
