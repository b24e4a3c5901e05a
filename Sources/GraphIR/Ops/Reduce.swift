public import BinaryIO

/// Reduction over axes; input `x`, optional second input `axes` where they are computed.
public struct Reduce: OpPayload {
  /// Which function.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    case mean = "reduce_mean"
    case sum = "reduce_sum"
    case max = "reduce_max"
    case min = "reduce_min"
    case prod = "reduce_prod"
    case sumSquare = "reduce_sum_square"
    case l2 = "reduce_l2"
  }

  public var kind: Kind
  /// Reduced axes; nil: all, or given by the second input.
  public var axes: [Int]?
  /// Whether reduced axes stay with extent 1.
  public var keepDims: Bool

  public init(_ kind: Kind, axes: [Int]? = nil, keepDims: Bool = true) {
    self.kind = kind
    self.axes = axes
    self.keepDims = keepDims
  }

  init(_ kind: Kind, _ a: inout AttributeReader) throws(Refusal) {
    self.kind = kind
    axes = try a.ints("axes")
    keepDims = try a.bool("keep_dims") ?? true
  }

  public var name: String { kind.rawValue }
  public var inputCount: ClosedRange<Int> { 1...2 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("axes", axes)
    result.set("keep_dims", keepDims, unless: true)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    var reduced = Array(0..<x.rank)
    if let axes {
      reduced = try rule.axes(axes, rank: x.rank)
    } else if let operand = rule.optional(1) {
      guard let values = try rule.ints(1) else {
        throw rule.refusal(
          "input 1 is \(operand.type): axes must be constant",
          remedy: "export the model with constant axes"
        )
      }
      reduced = try rule.axes(values, rank: x.rank)
    }
    if kind == .mean || kind == .max || kind == .min {
      try rule.require(!reduced.contains { x.dims[$0] == 0 }, "input is \(x): a reduced extent is 0")
    }
    let dims = x.dims.indices.compactMap { axis in
      reduced.contains(axis) ? (keepDims ? Dim.known(1) : nil) : x.dims[axis]
    }
    return try rule.result(x.dtype, dims)
  }
}
