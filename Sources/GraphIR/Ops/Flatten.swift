public import BinaryIO

/// A matrix: axes before `axis` make its rows, the others its columns.
public struct Flatten: OpPayload {
  /// First axis of the columns.
  public var axis: Int

  public init(axis: Int = 1) {
    self.axis = axis
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    axis = try a.int("axis") ?? 1
  }

  public var name: String { "flatten" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("axis", axis, unless: 1)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    try rule.require(axis >= -x.rank && axis <= x.rank, "axis \(axis) is outside of \(-x.rank)...\(x.rank)")
    let first = axis < 0 ? axis + x.rank : axis
    return try rule.result(x.dtype, [product(x.dims[..<first], rule), product(x.dims[first...], rule)])
  }

  private func product(_ dims: ArraySlice<Dim>, _ rule: TypeRule) throws(Refusal) -> Dim {
    if dims.count == 1, let only = dims.first { return only }
    let values = dims.compactMap(\.value)
    let others = dims.filter { $0.value == nil }
    guard let product = Checked.product(values) else { throw rule.refusal("the result is too large") }
    if others.isEmpty { return .known(product) }
    return others.count == 1 && product == 1 ? others[0] : .unknown
  }
}
