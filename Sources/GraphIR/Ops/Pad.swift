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
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
