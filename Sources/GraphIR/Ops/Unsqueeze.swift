public import BinaryIO

/// Insertion of axes with extent 1; the axes count in the result.
public struct Unsqueeze: OpPayload {
  /// The axes.
  public var axes: [Int]

  public init(axes: [Int]) {
    self.axes = axes
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    axes = try a.required("axes", a.ints("axes"))
  }

  public var name: String { "unsqueeze" }
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
    let inserted = try rule.axes(axes, rank: x.rank + axes.count)
    var source = x.dims.makeIterator()
    return try rule.result(
      x.dtype,
      (0..<x.rank + axes.count).map { inserted.contains($0) ? 1 : source.next() ?? 1 }
    )
  }
}
