public import BinaryIO

/// Quantization to u8 per tensor by the range of the operand itself, which always includes 0.
///
/// Input `x`; outputs `q` (u8), `scale` (f32 scalar), `zero_point` (u8 scalar).
public struct DynamicQuantize: OpPayload {

  public init() {
  }

  public var name: String { "dynamic_quantize" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 3...3 }
  public var attributes: Attributes { Attributes() }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
