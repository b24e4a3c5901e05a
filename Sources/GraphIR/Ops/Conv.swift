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
    let rule = try TypeRule(self, inputs)
    let x = try rule.float(0)
    let w = try rule.float(1)
    try rule.require(
      x.rank == w.rank && x.rank >= 3,
      "input is \(x) and weight is \(w); both need 3 to 5 axes"
    )
    let window = Window(kernel: Array(w.dims[2...]), strides: strides, pads: pads, dilations: dilations)
    try window.check(rule)
    try rule.require(group >= 1, "group is \(group), must be at least 1")
    if let channels = x.dims[1].value, let perGroup = w.dims[1].value {
      try rule.require(
        channels % group == 0 && channels / group == perGroup,
        "the input has \(channels) channels in \(group) groups, the weight takes \(perGroup) per group"
      )
    }
    if let filters = w.dims[0].value {
      try rule.require(filters % group == 0, "\(filters) output channels do not divide into \(group) groups")
    }
    try rule.checkBias(rule.optional(2), w.dims[0])
    return try rule.result(x.dtype, [x.dims[0], w.dims[0]] + window.output(Array(x.dims[2...]), rule))
  }
}
