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
    let rule = try TypeRule(self, inputs)
    let x = try rule.float(0)
    let w = try rule.float(1)
    try rule.require(
      x.rank == w.rank && x.rank >= 3,
      "input is \(x) and weight is \(w); both need 3 to 5 axes"
    )
    let kernel = Array(w.dims[2...])
    try Window(kernel: kernel, strides: strides, pads: pads, dilations: dilations).check(rule)
    try rule.require(group >= 1, "group is \(group), must be at least 1")
    try rule.require(outputPadding.count == kernel.count, "output_padding has \(outputPadding.count) entries")
    _ = try rule.same(x.dims[1], w.dims[0], "input channels and the weight's first axis differ")
    if let channels = x.dims[1].value {
      try rule.require(channels % group == 0, "\(channels) channels do not divide into \(group) groups")
    }
    var dims = [x.dims[0], w.dims[1].value.map { .known($0 * group) } ?? .unknown]
    try rule.checkBias(rule.optional(2), dims[1])
    for axis in kernel.indices {
      let extra = outputPadding[axis]
      try rule.require(
        extra >= 0 && extra < max(strides[axis], dilations[axis]),
        "output_padding \(extra) is not below the stride"
      )
      guard let extent = x.dims[axis + 2].value, let taps = kernel[axis].value else {
        dims.append(.unknown)
        continue
      }
      let full = (extent - 1) * strides[axis] + (taps - 1) * dilations[axis] + 1 + extra
      let size = full - pads[axis] - pads[axis + kernel.count]
      try rule.require(size > 0, "the result's spatial extent is \(size)")
      dims.append(.known(size))
    }
    return try rule.result(x.dtype, dims)
  }
}
