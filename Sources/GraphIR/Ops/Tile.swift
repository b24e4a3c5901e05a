public import BinaryIO

/// The input repeated along its axes; counts are an attribute or an i64 input.
public struct Tile: OpPayload {
  /// How often, for each axis; nil: given by the second input.
  public var repeats: [Int]?

  public init(repeats: [Int]? = nil) {
    self.repeats = repeats
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    repeats = try a.ints("repeats")
  }

  public var name: String { "tile" }
  public var inputCount: ClosedRange<Int> { 1...2 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("repeats", repeats)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    var counts = repeats?.map(Dim.known)
    if counts == nil { counts = try rule.operand(1).shapeValue }
    if counts == nil { counts = try rule.ints(1)?.map(Dim.known) }
    guard let counts else { return try rule.result(x.dtype, x.dims.map { _ in .unknown }) }
    try rule.require(counts.count == x.rank, "has \(counts.count) counts for the axes of \(x)")
    var dims: [Dim] = []
    for (extent, count) in zip(x.dims, counts) {
      switch (extent, count) {
      case (1, let dim), (let dim, 1): dims.append(dim)
      case (.known(let extent), .known(let count)):
        guard count >= 0, let product = Checked.product(extent, count) else {
          throw rule.refusal("an axis of \(extent) is repeated \(count) times")
        }
        dims.append(.known(product))
      default: dims.append(.unknown)
      }
    }
    for dim in dims { try rule.require((dim.value ?? 0) >= 0, "an axis is repeated \(dim) times") }
    return try rule.result(x.dtype, dims)
  }
}
