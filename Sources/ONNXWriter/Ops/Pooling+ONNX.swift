import BinaryIO
import GraphIR

/// Pools and reductions.
extension NodeExporter {
  func export(_ op: MaxPool) throws(Refusal) {
    try finish("MaxPool", inputs(), window(op.kernel, op.strides, op.pads, op.dilations, op.ceilMode))
  }

  func export(_ op: AveragePool) throws(Refusal) {
    var attributes = window(op.kernel, op.strides, op.pads, op.dilations, op.ceilMode)
    attributes.set("count_include_pad", op.countIncludePad)
    try finish("AveragePool", inputs(), attributes)
  }

  private func window(
    _ kernel: [Int],
    _ strides: [Int],
    _ pads: [Int],
    _ dilations: [Int],
    _ ceilMode: Bool
  ) -> Attributes {
    Attributes(
      ("kernel_shape", .ints(kernel)),
      ("strides", .ints(strides)),
      ("pads", .ints(pads)),
      ("dilations", .ints(dilations)),
      ("ceil_mode", .int(ceilMode ? 1 : 0))
    )
  }

  func export(_ op: GlobalPool) throws(Refusal) {
    switch op.kind {
    case .average: try finish("GlobalAveragePool", inputs())
    case .max: try finish("GlobalMaxPool", inputs())
    }
  }

  func export(_ op: CumSum) throws(Refusal) {
    let axis = constant(try Tensor.int64s([op.axis], []), "axis")
    var attributes = Attributes()
    attributes.set("exclusive", op.isExclusive, unless: false)
    attributes.set("reverse", op.isReverse, unless: false)
    try finish("CumSum", [input(0), axis], attributes)
  }

  func export(_ op: Reduce) throws(Refusal) {
    let opType =
      switch op.kind {
      case .mean: "ReduceMean"
      case .sum: "ReduceSum"
      case .max: "ReduceMax"
      case .min: "ReduceMin"
      case .prod: "ReduceProd"
      case .sumSquare: "ReduceSumSquare"
      case .l2: "ReduceL2"
      }
    var attributes = Attributes(("keepdims", .int(op.keepDims ? 1 : 0)))
    // Without axes ONNX reduces all, so that an empty list must be said to mean none.
    if op.axes == [] { attributes.set("noop_with_empty_axes", 1) }
    try finish(opType, [input(0), list(op.axes, or: 1, "axes")], attributes)
  }
}
