public import BinaryIO

/// Index of the first maximum along an axis, as i64.
public struct ArgMax: OpPayload {
  /// The axis.
  public var axis: Int
  /// Whether the axis stays with extent 1.
  public var keepDims: Bool

  public init(axis: Int = 0, keepDims: Bool = true) {
    self.axis = axis
    self.keepDims = keepDims
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    axis = try a.int("axis") ?? 0
    keepDims = try a.bool("keep_dims") ?? true
  }

  public var name: String { "arg_max" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("axis", axis, unless: 0)
    result.set("keep_dims", keepDims, unless: true)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    let reduced = try rule.axis(axis, rank: x.rank)
    try rule.require(x.dims[reduced] != 0, "input is \(x): the axis has extent 0")
    let dims = x.dims.indices.compactMap { axis in
      axis == reduced ? (keepDims ? Dim.known(1) : nil) : x.dims[axis]
    }
    return try rule.result(.int64, dims)
  }
}
