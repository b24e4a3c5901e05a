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
    let rule = try TypeRule(self, inputs)
    let x = try rule.float(0)
    return try rule.result(.uint8, x.dims) + [TensorType(.float32, []), TensorType(.uint8, [])]
  }
}
