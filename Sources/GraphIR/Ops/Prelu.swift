public import BinaryIO

/// `x < 0 ? slope·x : x` with a slope that broadcasts to `x`.
public struct Prelu: OpPayload {

  public init() {
  }

  public var name: String { "prelu" }
  public var inputCount: ClosedRange<Int> { 2...2 }
  public var outputCount: ClosedRange<Int> { 1...1 }
  public var attributes: Attributes { Attributes() }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
