public import BinaryIO

/// Padding per axis; a negative amount removes.
public struct Pad: OpPayload {
  /// All begins, then all ends.
  public var pads: [Int]
  /// What fills.
  public var mode: Mode
  /// The constant.
  public var value: Float

  public init(pads: [Int], mode: Mode = .constant, value: Float = 0) {
    self.pads = pads
    self.mode = mode
    self.value = value
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    pads = try a.required("pads", a.ints("pads"))
    mode = try a.choice("mode") ?? .constant
    value = try a.float("value") ?? 0
  }

  public var name: String { "pad" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("pads", pads)
    result.set("mode", mode.rawValue, unless: Mode.constant.rawValue)
    result.set("value", value, unless: 0)
    return result
  }

  /// What fills the padding.
  public enum Mode: String, Hashable, Sendable {
    case constant, reflect, edge
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    try rule.require(pads.count == 2 * x.rank, "pads has \(pads.count) entries, the input is \(x)")
    var dims = x.dims
    for axis in x.dims.indices {
      let (before, after) = (pads[axis], pads[axis + x.rank])
      guard let extent = x.dims[axis].value else {
        dims[axis] = before == 0 && after == 0 ? x.dims[axis] : .unknown
        continue
      }
      guard let first = Checked.sum(extent, before), let size = Checked.sum(first, after) else {
        throw rule.refusal("the result is too large")
      }
      try rule.require(size >= 0, "pads \(before) and \(after) leave an extent of \(size)")
      if mode == .reflect {
        try rule.require(
          max(before, after) <= max(extent - 1, 0),
          "a reflecting pad exceeds the extent of \(extent)"
        )
      }
      if mode == .edge { try rule.require(extent > 0 || size == 0, "edge padding of an empty axis") }
      dims[axis] = .known(size)
    }
    return try rule.result(x.dtype, dims)
  }
}
