public import BinaryIO

/// `start, start + delta, ...` below `limit`; inputs are the three scalars.
public struct RangeOp: OpPayload {

  public init() {
  }

  public var name: String { "range" }
  public var inputCount: ClosedRange<Int> { 3...3 }
  public var outputCount: ClosedRange<Int> { 1...1 }
  public var attributes: Attributes { Attributes() }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
