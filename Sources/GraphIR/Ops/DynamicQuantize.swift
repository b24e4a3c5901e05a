public import BinaryIO

/// Quantization to u8 by the range of the operand itself, which always includes 0.
///
/// Input `x`; outputs `q` (u8), `scale` (f32), `zero_point` (u8). The parameters are scalars, or with ``perRow`` have the
/// operand's shape with a last extent of 1.
public struct DynamicQuantize: OpPayload {
  /// Whether every run along the last axis has a range of its own.
  public var perRow: Bool

  public init(perRow: Bool = false) {
    self.perRow = perRow
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    perRow = try a.bool("per_row") ?? false
  }

  public var name: String { "dynamic_quantize" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 3...3 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("per_row", perRow, unless: false)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.float(0)
    guard perRow else {
      return try rule.result(.uint8, x.dims) + [TensorType(.float32, []), TensorType(.uint8, [])]
    }
    try rule.require(x.rank >= 2, "the operand is \(x), must have rows of a matrix")
    let rows = Array(x.dims.dropLast()) + [1]
    return try rule.result(.uint8, x.dims) + [TensorType(.float32, rows), TensorType(.uint8, rows)]
  }
}
