import BinaryIO
import GraphIR

extension OperatorTable {
  /// Convolutions.
  static let convolution = [
    OperatorEntry("Conv", 2...3, importConv),
    OperatorEntry("ConvTranspose", 2...3, importConvTranspose),
  ]

  private static func importConv(_ node: inout NodeImporter) throws(Refusal) {
    let x = try node.input(0)
    let w = try node.input(1)
    let op = try conv(&node, x: node.type(x), w: node.type(w))
    let bias = try node.optional(2).map { (bias) throws(Refusal) in
      try node.matchedBias(bias, x: x, w: w)
    }
    try node.finish(.conv(op), [x, w, bias])
  }

  /// The convolution that a node's attributes describe.
  static func conv(_ node: inout NodeImporter, x: TensorType, w: TensorType) throws(Refusal) -> Conv {
    let window = try WindowAttributes(&node, kernel: node.kernel(of: w))
    return Conv(
      strides: window.strides,
      pads: try window.pads(over: Array(x.dims.dropFirst(2)), node),
      dilations: window.dilations,
      group: try node.attributes.int("group") ?? 1
    )
  }

  /// Transposed convolution; `auto_pad` and `output_shape` become explicit pads.
  private static func importConvTranspose(_ node: inout NodeImporter) throws(Refusal) {
    let x = try node.input(0)
    let w = try node.input(1)
    let window = try WindowAttributes(&node, kernel: node.kernel(of: node.type(w)))
    let axes = window.kernel.count
    let padding = try node.attributes.ints("output_padding") ?? Array(repeating: 0, count: axes)
    guard padding.count == axes, padding.allSatisfy({ (0...65_535).contains($0) }) else {
      throw NodeAttributes.refusal("output_padding", "is \(padding), must be \(axes) numbers from 0 to 65535")
    }
    let shape = try node.attributes.ints("output_shape")
    let spatial = Array(node.type(x).dims.dropFirst(2))
    let resolved = try transposedPadding(node, window, padding, shape, spatial)
    let op = ConvTranspose(
      strides: window.strides,
      pads: resolved.pads,
      dilations: window.dilations,
      group: try node.attributes.int("group") ?? 1,
      outputPadding: resolved.output
    )
    try node.finish(.convTranspose(op), [x, w, node.optional(2)])
  }

  /// Explicit padding; what the output lacks beyond the input, kernel and stride is padding of the output.
  private static func transposedPadding(
    _ node: NodeImporter,
    _ window: WindowAttributes,
    _ padding: [Int],
    _ shape: [Int]?,
    _ spatial: [Dim]
  ) throws(Refusal) -> (pads: [Int], output: [Int]) {
    let axes = window.kernel.count
    if let shape {
      guard shape.count == axes || shape.count == axes + 2 else {
        throw NodeAttributes.refusal("output_shape", "has \(shape.count) entries, must have \(axes)")
      }
    } else if window.autoPad == .none || window.autoPad == .valid {
      return (try window.pads(over: spatial, node), padding)
    }
    var totals: [Int] = []
    var output = padding
    for axis in 0..<axes {
      var total = window.extent(axis) - window.strides[axis] + padding[axis]
      if let wanted = shape?.suffix(axes).dropFirst(axis).first {
        guard axis < spatial.count, let input = spatial[axis].value, wanted >= 0, wanted <= 1 << 31 else {
          throw node.unsupported(
            "output_shape needs a known input size",
            remedy: "export the model with fixed spatial dimensions"
          )
        }
        total += window.strides[axis] * input - wanted
      }
      if total < 0 { output[axis] -= total }
      totals.append(Swift.max(total, 0))
    }
    return (window.split(totals, moreAtEnd: window.autoPad == .sameUpper), output)
  }
}

extension NodeImporter {
  /// The spatial extents of a weight, which must be known.
  func kernel(of weight: TensorType) throws(Refusal) -> [Int] {
    let kernel = weight.dims.dropFirst(2).compactMap(\.value)
    guard kernel.count == weight.rank - 2, !kernel.isEmpty else {
      throw refusal("O40", "its weight is \(weight), must have a known kernel")
    }
    return kernel
  }
}
