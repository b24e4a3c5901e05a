import BinaryIO
import GraphIR

/// Operators that move elements or ask for extents.
extension NodeExporter {
  func export(_ op: Reshape) throws(Refusal) {
    var attributes = Attributes()
    attributes.set("allowzero", op.allowZero, unless: false)
    try finish("Reshape", [input(0), list(op.shape, or: 1, "shape")], attributes)
  }

  func export(_ op: Slice) throws(Refusal) {
    let operands = [
      input(0), try list(op.starts, or: 1, "starts"), try list(op.ends, or: 2, "ends"),
      try list(op.axes, or: 3, "axes"), try list(op.steps, or: 4, "steps"),
    ]
    try finish("Slice", operands)
  }

  func export(_ op: Pad) throws(Refusal) {
    let pads = try ints(op.pads, "pads")
    let value = op.mode == .constant ? try scalar(op.value, type(0).dtype, "value") : ""
    try finish("Pad", [input(0), pads, value], Attributes(("mode", .string(op.mode.rawValue))))
  }

  func export(_ op: ShapeOf) throws(Refusal) {
    var attributes = Attributes()
    attributes.set("start", op.start, unless: 0)
    if let end = op.end { attributes.set("end", end) }
    try finish("Shape", inputs(), attributes)
  }

  func export(_ op: Resize) throws(Refusal) {
    var attributes = Attributes(
      ("mode", .string(op.mode.rawValue)),
      ("coordinate_transformation_mode", .string(op.coordinates)),
      ("nearest_mode", .string(op.nearest))
    )
    guard let sizes = op.sizes else {
      let scales = constant(try Tensor.floats(op.scales ?? []), "scales")
      return try finish("Resize", [input(0), "", scales], attributes)
    }
    // A size of 1 for an extent that is not known keeps it.
    let dims = type(0).dims
    let axes = sizes.indices.filter { dims[$0].value != nil || sizes[$0] != 1 }
    if axes.count < sizes.count { attributes.set("axes", axes) }
    try finish("Resize", [input(0), "", "", ints(axes.map { sizes[$0] }, "sizes")], attributes)
  }
}
