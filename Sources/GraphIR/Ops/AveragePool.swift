public import BinaryIO

/// Mean over windows.
public struct AveragePool: OpPayload {
  /// Extent of the window.
  public var kernel: [Int]
  /// Step per spatial axis.
  public var strides: [Int]
  /// Padding: all begins, then all ends.
  public var pads: [Int]
  /// Distance of the taps per spatial axis.
  public var dilations: [Int]
  /// Whether the output extent is rounded up.
  public var ceilMode: Bool
  /// Whether padding counts in the divisor.
  public var countIncludePad: Bool

  public init(
    kernel: [Int],
    strides: [Int],
    pads: [Int],
    dilations: [Int],
    ceilMode: Bool = false,
    countIncludePad: Bool = false
  ) {
    self.kernel = kernel
    self.strides = strides
    self.pads = pads
    self.dilations = dilations
    self.ceilMode = ceilMode
    self.countIncludePad = countIncludePad
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    kernel = try a.required("kernel", a.ints("kernel"))
    strides = try a.required("strides", a.ints("strides"))
    pads = try a.required("pads", a.ints("pads"))
    dilations = try a.required("dilations", a.ints("dilations"))
    ceilMode = try a.bool("ceil_mode") ?? false
    countIncludePad = try a.bool("count_include_pad") ?? false
  }

  public var name: String { "average_pool" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("kernel", kernel)
    result.set("strides", strides)
    result.set("pads", pads)
    result.set("dilations", dilations)
    result.set("ceil_mode", ceilMode, unless: false)
    result.set("count_include_pad", countIncludePad, unless: false)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    try rule.require(x.rank == kernel.count + 2, "input is \(x), the window has \(kernel.count) axes")
    let window = Window(
      kernel: kernel.map(Dim.known),
      strides: strides,
      pads: pads,
      dilations: dilations,
      ceilMode: ceilMode
    )
    try window.check(rule)
    for axis in kernel.indices {
      let effective = (kernel[axis] - 1) * dilations[axis] + 1
      try rule.require(
        pads[axis] < effective && pads[axis + kernel.count] < effective,
        "a pad is not below the window of \(effective)"
      )
    }
    return try rule.result(x.dtype, Array(x.dims[..<2]) + window.output(Array(x.dims[2...]), rule))
  }
}
