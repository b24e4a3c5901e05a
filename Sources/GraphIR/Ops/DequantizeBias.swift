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
    let rule = try TypeRule(self, inputs)
    let q = try rule.type(0)
    try rule.require(q.dtype == .int32 && q.rank == 1, "input 0 is \(q), must be an i32 vector")
    let xScale = try rule.float(1)
    let wScale = try rule.float(2)
    try rule.require(xScale.rank == 0, "input 1 is \(xScale), must be a scalar")
    try rule.require(wScale.rank <= 1, "input 2 is \(wScale), must be a scalar or a vector")
    if wScale.rank == 1 {
      _ = try rule.same(q.dims[0], wScale.dims[0], "bias and weight scales differ in length")
    }
    return try rule.result(.float32, q.dims)
  }
}
