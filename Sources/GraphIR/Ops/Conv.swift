public import BinaryIO

/// Convolution over 1 to 3 spatial axes, channels first, with a fused activation.
///
/// Inputs: `x [N, C, D...]`, `w [M, C/group, k...]`, optional `b [M]`. The kernel's extent is that of `w`.
public struct Conv: OpPayload {
  /// Step per spatial axis.
  public var strides: [Int]
  /// Padding: all begins, then all ends.
  public var pads: [Int]
  /// Distance of the taps per spatial axis.
  public var dilations: [Int]
  /// Channel groups.
  public var group: Int
  /// Applied to the result.
  public var activation: Activation

  public init(strides: [Int], pads: [Int], dilations: [Int], group: Int = 1, activation: Activation = .none) {
    self.strides = strides
    self.pads = pads
    self.dilations = dilations
    self.group = group
    self.activation = activation
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    strides = try a.required("strides", a.ints("strides"))
    pads = try a.required("pads", a.ints("pads"))
    dilations = try a.required("dilations", a.ints("dilations"))
    group = try a.int("group") ?? 1
    activation = try Activation(&a)
  }

  public var name: String { "conv" }
  public var inputCount: ClosedRange<Int> { 2...3 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("strides", strides)
    result.set("pads", pads)
    result.set("dilations", dilations)
    result.set("group", group, unless: 1)
    activation.write(to: &result)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
