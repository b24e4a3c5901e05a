public import BinaryIO

/// Broadcast to a shape, an attribute or an i64 input.
public struct Expand: OpPayload {
  /// Extents; nil: given by the second input.
  public var shape: [Int]?

  public init(shape: [Int]? = nil) {
    self.shape = shape
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    shape = try a.ints("shape")
  }

  public var name: String { "expand" }
  public var inputCount: ClosedRange<Int> { 1...2 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("shape", shape)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    var target: [Dim]?
    if let shape { target = shape.map(Dim.known) } else { target = try rule.operand(1).shapeValue }
    if target == nil { target = try rule.ints(1)?.map(Dim.known) }
    guard let target else {
      guard let rank = try rule.type(1).dims.first?.value else {
        throw rule.refusal(
          "the number of axes of the result is not known",
          remedy: "export the model with a fixed rank"
        )
      }
      return try rule.result(x.dtype, Array(repeating: .unknown, count: max(rank, x.rank)))
    }
    for dim in target { try rule.require((dim.value ?? 0) >= 0, "the shape has an extent of \(dim)") }
    return try rule.result(x.dtype, rule.broadcast(x.dims, target))
  }
}
