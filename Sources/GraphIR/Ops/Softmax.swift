public import BinaryIO

/// `exp(x − max) / Σ exp(x − max)` along an axis.
public struct Softmax: OpPayload {
  /// The axis.
  public var axis: Int
  /// Whether the logarithm of the result is meant.
  public var isLog: Bool

  public init(axis: Int = -1, isLog: Bool = false) {
    self.axis = axis
    self.isLog = isLog
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    axis = try a.int("axis") ?? -1
    isLog = try a.bool("log") ?? false
  }

  public var name: String { "softmax" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("axis", axis, unless: -1)
    result.set("log", isLog, unless: false)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
