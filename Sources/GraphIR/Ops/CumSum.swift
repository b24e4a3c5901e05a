public import BinaryIO

/// Sums of all elements up to each one along an axis; f32, f64, i32 or i64.
public struct CumSum: OpPayload {
  /// The axis.
  public var axis: Int
  /// Whether the element itself is left out.
  public var isExclusive: Bool
  /// Whether sums begin at the end.
  public var isReverse: Bool

  public init(axis: Int, isExclusive: Bool = false, isReverse: Bool = false) {
    self.axis = axis
    self.isExclusive = isExclusive
    self.isReverse = isReverse
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    axis = try a.int("axis") ?? 0
    isExclusive = try a.bool("exclusive") ?? false
    isReverse = try a.bool("reverse") ?? false
  }

  public var name: String { "cum_sum" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("axis", axis, unless: 0)
    result.set("exclusive", isExclusive, unless: false)
    result.set("reverse", isReverse, unless: false)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    _ = try rule.axis(axis, rank: x.rank)
    try rule.require(
      x.dtype.isFloatingPoint || x.dtype == .int64 || x.dtype == .int32,
      "input is \(x), must be floating point, i64 or i32"
    )
    return try rule.result(x.dtype, x.dims)
  }
}
