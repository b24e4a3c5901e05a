public import BinaryIO

/// Removal of axes with extent 1.
public struct Squeeze: OpPayload {
  /// The axes; nil: all with extent 1.
  public var axes: [Int]?

  public init(axes: [Int]? = nil) {
    self.axes = axes
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    axes = try a.ints("axes")
  }

  public var name: String { "squeeze" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("axes", axes)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    let removed =
      try axes.map { (axes) throws(Refusal) in try rule.axes(axes, rank: x.rank) }
      ?? x.dims.indices.filter { x.dims[$0] == 1 }
    for axis in removed { _ = try rule.same(x.dims[axis], 1, "squeezed axis \(axis) must have extent 1") }
    return try rule.result(x.dtype, x.dims.indices.filter { !removed.contains($0) }.map { x.dims[$0] })
  }
}
