public import BinaryIO

/// `exp(x − max) / Σ exp(x − max)` along an axis.
public struct Softmax: OpPayload {
  /// The axis.
  public var axis: Int
  /// Whether the logarithm of the result is meant.
  public var isLog: Bool
  /// Whether what would be no number, as where all of `x` is −∞, is 0.
  public var isGuarded: Bool

  public init(axis: Int = -1, isLog: Bool = false, isGuarded: Bool = false) {
    self.axis = axis
    self.isLog = isLog
    self.isGuarded = isGuarded
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    axis = try a.int("axis") ?? -1
    isLog = try a.bool("log") ?? false
    isGuarded = try a.bool("guarded") ?? false
  }

  public var name: String { "softmax" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("axis", axis, unless: -1)
    result.set("log", isLog, unless: false)
    result.set("guarded", isGuarded, unless: false)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.float(0)
    let along = try rule.axis(axis, rank: x.rank)
    try rule.require(x.dims[along] != 0, "input is \(x): the axis has extent 0")
    return try rule.result(x.dtype, x.dims)
  }
}
