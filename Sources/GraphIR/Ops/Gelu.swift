public import BinaryIO

/// `x/2 · (1 + erf(x/√2))`, or its tanh approximation.
public struct Gelu: OpPayload {
  /// Whether the tanh approximation is meant.
  public var isTanh: Bool

  public init(isTanh: Bool = false) {
    self.isTanh = isTanh
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    isTanh = try a.bool("tanh") ?? false
  }

  public var name: String { "gelu" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("tanh", isTanh, unless: false)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.float(0)
    return try rule.result(x.dtype, x.dims)
  }
}
