public import BinaryIO

/// The same elements under another shape; the shape is an attribute, or an i64 input where it is computed.
public struct Reshape: OpPayload {
  /// Extents: 0 copies the input's, one -1 is computed; nil: given by the second input.
  public var shape: [Int]?
  /// Whether 0 means an extent of 0.
  public var allowZero: Bool

  public init(shape: [Int]? = nil, allowZero: Bool = false) {
    self.shape = shape
    self.allowZero = allowZero
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    shape = try a.ints("shape")
    allowZero = try a.bool("allow_zero") ?? false
  }

  public var name: String { "reshape" }
  public var inputCount: ClosedRange<Int> { 1...2 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("shape", shape)
    result.set("allow_zero", allowZero, unless: false)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    if let shape { return try rule.result(x.dtype, resolve(shape.map { .some($0) }, x, rule)) }
    let operand = try rule.operand(1)
    try rule.require(operand.type.rank == 1, "input 1 is \(operand.type), must be a vector")
    if let values = try rule.ints(1) {
      return try rule.result(x.dtype, resolve(values.map { .some($0) }, x, rule))
    }
    if let dims = operand.shapeValue {
      if let copied = copies(dims, x) { return try rule.result(x.dtype, copied) }
      return try rule.result(x.dtype, resolve(dims.map(\.value), x, rule, symbols: dims))
    }
    guard let rank = operand.type.dims[0].value else {
      throw rule.refusal(
        "the number of axes of the result is not known",
        remedy: "export the model with a fixed rank for this reshape"
      )
    }
    return try rule.result(x.dtype, Array(repeating: .unknown, count: rank))
  }

  /// The dimensions, when they are all known or symbols and none is computed.
  private func copies(_ dims: [Dim], _ x: TensorType) -> [Dim]? {
    dims.contains { $0 == .unknown || ($0.value ?? 1) <= 0 } ? nil : dims
  }

  /// Resolves 0 and -1; a nil entry is an extent that is not known.
  private func resolve(
    _ shape: [Int?],
    _ x: TensorType,
    _ rule: TypeRule,
    symbols: [Dim]? = nil
  ) throws(Refusal) -> [Dim] {
    try rule.require(shape.count { $0 == -1 } <= 1, "the shape has more than one -1")
    try rule.require(
      !(allowZero && shape.contains(-1) && shape.contains(0)),
      "the shape has both 0 and -1 with allow_zero"
    )
    var dims: [Dim] = []
    for (index, extent) in shape.enumerated() {
      switch extent {
      case nil: dims.append(symbols?[index] ?? .unknown)
      case 0? where !allowZero:
        try rule.require(index < x.rank, "the shape copies axis \(index), but the input is \(x)")
        dims.append(x.dims[index])
      case let extent?:
        try rule.require(extent >= -1, "the shape has an extent of \(extent)")
        dims.append(.known(extent))
      }
    }
    guard let hole = shape.firstIndex(of: -1) else {
      try checkCount(dims, x, rule)
      return dims
    }
    dims[hole] = try computed(dims, hole, x, rule)
    return dims
  }

  private func checkCount(_ dims: [Dim], _ x: TensorType, _ rule: TypeRule) throws(Refusal) {
    guard let count = x.elementCount, let wanted = TensorType(x.dtype, dims).elementCount else { return }
    try rule.require(count == wanted, "the input has \(count) elements, the shape \(wanted)")
  }

  /// The extent for -1: symbols that stand on both sides cancel out.
  private func computed(_ dims: [Dim], _ hole: Int, _ x: TensorType, _ rule: TypeRule) throws(Refusal) -> Dim
  {
    var rest = dims
    rest.remove(at: hole)
    var source = x.dims
    for dim in rest {
      guard case .symbol = dim, let match = source.firstIndex(of: dim) else { continue }
      source.remove(at: match)
    }
    rest.removeAll { dim in
      guard case .symbol = dim else { return false }
      return x.dims.contains(dim)
    }
    guard let count = TensorType(x.dtype, source).elementCount,
      let fixed = TensorType(x.dtype, rest).elementCount
    else {
      let onlySymbol = source.count { $0.value == nil } == 1 && fixedProduct(source) == fixedProduct(rest)
      return onlySymbol && rest.allSatisfy { $0.value != nil }
        ? source.first { $0.value == nil } ?? .unknown : .unknown
    }
    try rule.require(fixed > 0 && count % fixed == 0, "\(count) elements do not divide by \(fixed)")
    return .known(count / fixed)
  }

  private func fixedProduct(_ dims: [Dim]) -> Int? { Checked.product(dims.compactMap(\.value)) }
}
