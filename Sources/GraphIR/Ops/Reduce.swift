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
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
