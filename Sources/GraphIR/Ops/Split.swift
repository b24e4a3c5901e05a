public import BinaryIO

/// Parts along an axis, one per output.
public struct Split: OpPayload {
  /// The axis.
  public var axis: Int
  /// Extent of each part.
  public var sizes: [Int]?

  public init(axis: Int = 0, sizes: [Int]? = nil) {
    self.axis = axis
    self.sizes = sizes
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    axis = try a.int("axis") ?? 0
    sizes = try a.ints("sizes")
  }

  public var name: String { "split" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...65536 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("axis", axis, unless: 0)
    result.set("sizes", sizes)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    let along = try rule.axis(axis, rank: x.rank)
    guard let sizes else {
      throw rule.refusal(
        "the sizes of the parts are not known",
        remedy: "export the model with explicit split sizes"
      )
    }
    try rule.require(!sizes.isEmpty && sizes.allSatisfy { $0 >= 0 }, "the sizes are \(sizes)")
    guard let sum = sizes.reduce(0, { (sum: Int?, size) in sum.flatMap { Checked.sum($0, size) } }) else {
      throw rule.refusal("the sizes add up to more than can be counted")
    }
    if let extent = x.dims[along].value {
      try rule.require(sum == extent, "sizes add up to \(sum), the axis has \(extent)")
    }
    var types: [TensorType] = []
    for size in sizes {
      var dims = x.dims
      dims[along] = .known(size)
      types += try rule.result(x.dtype, dims)
    }
    return types
  }
}
