public import BinaryIO

/// Transposed convolution, channels first.
///
/// Inputs: `x [N, C, D...]`, `w [C, M/group, k...]`, optional `b [M]`.
public struct ConvTranspose: OpPayload {
  /// Step per spatial axis.
  public var strides: [Int]
  /// Padding: all begins, then all ends.
  public var pads: [Int]
  /// Distance of the taps per spatial axis.
  public var dilations: [Int]
  /// Channel groups.
  public var group: Int
  /// Added to the end of each spatial axis.
  public var outputPadding: [Int]
  /// Applied to the result.
  public var activation: Activation

  public init(
    strides: [Int],
    pads: [Int],
    dilations: [Int],
    group: Int = 1,
    outputPadding: [Int],
    activation: Activation = .none
  ) {
    self.strides = strides
    self.pads = pads
    self.dilations = dilations
    self.group = group
    self.outputPadding = outputPadding
    self.activation = activation
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    strides = try a.required("strides", a.ints("strides"))
    pads = try a.required("pads", a.ints("pads"))
    dilations = try a.required("dilations", a.ints("dilations"))
    group = try a.int("group") ?? 1
    outputPadding = try a.required("output_padding", a.ints("output_padding"))
    activation = try Activation(&a)
  }

  public var name: String { "conv_transpose" }
  public var inputCount: ClosedRange<Int> { 2...3 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("strides", strides)
    result.set("pads", pads)
    result.set("dilations", dilations)
    result.set("group", group, unless: 1)
    result.set("output_padding", outputPadding)
    activation.write(to: &result)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
