public import BinaryIO

/// `q · f32(f64(x_scale) · f64(w_scale))`: an i32 bias whose scale follows from its operator's operands.
///
/// Inputs: `q [M]`, `x_scale` (scalar), `w_scale` (scalar or `[M]`).
public struct DequantizeBias: OpPayload {

  public init() {
  }

  public var name: String { "dequantize_bias" }
  public var inputCount: ClosedRange<Int> { 3...3 }
  public var outputCount: ClosedRange<Int> { 1...1 }
  public var attributes: Attributes { Attributes() }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
