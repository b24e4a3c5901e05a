import BinaryIO
import GraphIR

extension OperatorTable {
  /// Pools over windows and over everything.
  static let pooling = [
    OperatorEntry("MaxPool", 1...1, outputs: 1...2, importMaxPool),
    OperatorEntry("AveragePool", 1...1, importAveragePool),
    OperatorEntry("GlobalAveragePool", 1...1) { (node) throws(Refusal) in
      try node.finish(.globalPool(GlobalPool(.average)), [node.input(0)])
    },
    OperatorEntry("GlobalMaxPool", 1...1) { (node) throws(Refusal) in
      try node.finish(.globalPool(GlobalPool(.max)), [node.input(0)])
    },
  ]

  private static func importMaxPool(_ node: inout NodeImporter) throws(Refusal) {
    let x = try node.input(0)
    // It orders the indices only, which are the second output.
    _ = try node.attributes.int("storage_order")
    let window = try WindowAttributes(&node)
    let op = MaxPool(
      kernel: window.kernel,
      strides: window.strides,
      pads: try window.pads(over: Array(node.type(x).dims.dropFirst(2)), node),
      dilations: window.dilations,
      ceilMode: try node.attributes.bool("ceil_mode") ?? false
    )
    try node.finish(.maxPool(op), [x])
  }

  private static func importAveragePool(_ node: inout NodeImporter) throws(Refusal) {
    let x = try node.input(0)
    let window = try WindowAttributes(&node)
    let op = AveragePool(
      kernel: window.kernel,
      strides: window.strides,
      pads: try window.pads(over: Array(node.type(x).dims.dropFirst(2)), node),
      dilations: window.dilations,
      ceilMode: try node.attributes.bool("ceil_mode") ?? false,
      countIncludePad: try node.attributes.bool("count_include_pad") ?? false
    )
    try node.finish(.averagePool(op), [x])
  }
}
