import BinaryIO
import GraphIR

/// The QDQ operators.
extension NodeExporter {
  func export(_ op: QuantizeLinear) throws(Refusal) {
    try finish("QuantizeLinear", inputs(), channels(op.axis))
  }

  func export(_ op: DequantizeLinear) throws(Refusal) {
    // ONNX has no scale per row.
    guard op.axis == nil, type(1).rank >= 2 else {
      return try finish("DequantizeLinear", inputs(), channels(op.axis))
    }
    var q = cast(input(0), to: type(1).dtype, "integers")
    if has(2) { q = emit("Sub", [q, cast(input(2), to: type(1).dtype, "zero_point")], "difference") }
    try finish("Mul", [q, input(1)])
  }

  private func channels(_ axis: Int?) -> Attributes {
    axis.map { Attributes(("axis", .int($0))) } ?? Attributes()
  }

  /// A bias whose scale is a constant, wherever those it follows from are.
  func exportBias() throws(Refusal) {
    let scale: String
    if let x = value(1).constant?.floatValues(), let w = value(2).constant?.floatValues(), x.count == 1 {
      let products = w.map { Float(Double(x[0]) * Double($0)) }
      scale = constant(try Tensor.floats(products, type(2).knownDims), "scale")
    } else {
      scale = emit("Mul", [input(1), input(2)], "scale")
    }
    try finish("DequantizeLinear", [input(0), scale], type(2).rank == 0 ? Attributes() : channels(0))
  }

  /// Blocks of at most 4 bits become int4, wider ones int8: no number changes.
  func export(_ op: DequantizeBlocks) throws(Refusal) {
    guard let packed = value(0).constant, value(1).isConstant else {
      throw Refusal(
        .unsupported,
        at: "",
        rule: "X1",
        "has weights that are no constant, which cannot be packed as ONNX has it",
        remedy: "write a .qmodel"
      )
    }
    let rows = packed.shape[0]
    let (elementType, bytes) = try packed.signedBlocks(op)
    let dims = op.isTransposed ? [op.depth, rows] : [rows, op.depth]
    let q = constant(elementType, dims, bytes, "weights")
    var scale = input(1)
    if op.isTransposed, let tensor = value(1).constant { scale = constant(try tensor.transposed(), "scales") }
    if type(1).dtype != .float32 { scale = cast(scale, to: .float32, "scale") }
    try finish(
      "DequantizeLinear",
      [q, scale],
      Attributes(("axis", .int(op.isTransposed ? 0 : 1)), ("block_size", .int(op.block)))
    )
  }

  func export(_ op: DynamicQuantize) throws(Refusal) {
    guard op.perRow else { return try finish("DynamicQuantizeLinear", inputs()) }
    try exportRows()
  }

  /// A range per row, which ONNX has no operator for, by the formulas of `schemas/arithmetic.md`, section 3.
  private func exportRows() throws(Refusal) {
    let x = input(0)
    let last = try ints([-1], "axes")
    let zero = try scalar(0, .float32, "zero")
    let one = try scalar(1, .float32, "one")
    let most = try scalar(255, .float32, "255")
    let least = try scalar(.leastNormalMagnitude, .float32, "least")
    let lower = emit("Min", [emit("ReduceMin", [x, last], "min"), zero], "lower")
    let upper = emit("Max", [emit("ReduceMax", [x, last], "max"), zero], "upper")
    let width = emit("Div", [emit("Sub", [upper, lower], "width"), most], "raw_scale")
    let isEmpty = emit("Less", [width, least], "is_empty")
    let distance = emit(
      "Round",
      [emit("Div", [emit("Neg", [lower], "negated"), width], "distance")],
      "steps"
    )
    let bounded = emit("Clip", [distance, zero, most], "bounded")
    let zeroPoint = emit("Where", [isEmpty, zero, bounded], "zero_point")
    let outputs = node.outputs.map { graph[$0].name }
    add("Where", [isEmpty, one, width], [outputs[1]])
    let steps = emit("Round", [emit("Div", [x, outputs[1]], "quotient")], "rounded")
    let q = emit("Clip", [emit("Add", [steps, zeroPoint], "shifted"), zero, most], "q")
    add("Cast", [q], [outputs[0]], Attributes(("to", .int(Int(DType.uint8.rawValue)))))
    add("Cast", [zeroPoint], [outputs[2]], Attributes(("to", .int(Int(DType.uint8.rawValue)))))
  }
}

extension Tensor {
  /// Packed numbers of a `dequantize_blocks` in two's complement, as 4 bits or 8 bits each, in the order of the result's
  /// elements, with ONNX's number of the type.
  fileprivate func signedBlocks(_ op: DequantizeBlocks) throws(Refusal) -> (elementType: Int, ByteSlice) {
    let rows = shape[0]
    let rowBytes = shape[1]
    let isNarrow = op.bits <= 4
    let count = rows * op.depth
    let size = isNarrow ? (count + 1) / 2 : count
    let result = try unsafe ByteSlice.build(count: size) { (target) in
      unsafe bytes.withUnsafeBytes { source in
        for index in 0..<count {
          let (row, column) =
            op.isTransposed ? (index % rows, index / rows) : (index / op.depth, index % op.depth)
          var number = 0
          for bit in 0..<op.bits {
            let place = column * op.bits + bit
            let byte = unsafe source[row * rowBytes + place / 8]
            number |= Int(byte >> (place % 8) & 1) << bit
          }
          let signed = UInt8(truncatingIfNeeded: number - 1 << (op.bits - 1))
          if isNarrow {
            unsafe target[index / 2] |= (signed & 0xF) << (index % 2 * 4)
          } else {
            unsafe target[index] = signed
          }
        }
      }
    }
    return (isNarrow ? ONNXConstant.int4 : Int(DType.int8.rawValue), result)
  }
}
