import BinaryIO
import GraphIR

/// Convolutions and matrix products.
extension NodeExporter {
  func export(_ op: Conv) throws(Refusal) {
    try finish("Conv", inputs(), window(op.strides, op.pads, op.dilations, op.group), op.activation)
  }

  func export(_ op: ConvTranspose) throws(Refusal) {
    var attributes = window(op.strides, op.pads, op.dilations, op.group)
    attributes.set("output_padding", op.outputPadding)
    try finish("ConvTranspose", inputs(), attributes, op.activation)
  }

  private func window(_ strides: [Int], _ pads: [Int], _ dilations: [Int], _ group: Int) -> Attributes {
    var attributes = Attributes(
      ("strides", .ints(strides)),
      ("pads", .ints(pads)),
      ("dilations", .ints(dilations)),
      ("group", .int(group))
    )
    if let kernel = TensorType(.float32, Array(type(1).dims.dropFirst(2))).knownDims {
      attributes.set("kernel_shape", kernel)
    }
    return attributes
  }

  /// ONNX's Gemm takes matrices only; with more axes it is a product of matrices and a sum.
  func export(_ op: Gemm) throws(Refusal) {
    if type(0).rank == 2 {
      let attributes = Attributes(
        ("alpha", .float(op.alpha)),
        ("beta", .float(op.beta)),
        ("transA", .int(op.transA ? 1 : 0)),
        ("transB", .int(op.transB ? 1 : 0))
      )
      return try finish("Gemm", inputs(), attributes, op.activation)
    }
    // The type rule lets only matrices be transposed on the left.
    let b = op.transB ? try transposedMatrix(1) : input(1)
    let isScaled = op.alpha != 1
    guard has(2) || isScaled else { return try finish("MatMul", [input(0), b], Attributes(), op.activation) }
    var product = emit("MatMul", [input(0), b], "product")
    if isScaled {
      let alpha = try scalar(op.alpha, type(0).dtype, "alpha")
      guard has(2) else { return try finish("Mul", [product, alpha], Attributes(), op.activation) }
      product = emit("Mul", [product, alpha], "scaled")
    }
    var c = input(2)
    if op.beta != 1 { c = emit("Mul", [c, try scalar(op.beta, type(0).dtype, "beta")], "c") }
    try finish("Add", [product, c], Attributes(), op.activation)
  }

  /// A matrix with its axes exchanged; a dequantized constant is exchanged before it is dequantized, which keeps the
  /// pattern that runtimes know.
  private func transposedMatrix(_ index: Int) throws(Refusal) -> String {
    let perm = Attributes(("perm", .ints([1, 0])))
    guard let producer = value(index).producer, case .dequantizeLinear(let op) = graph[producer].op,
      let q = graph[producer].inputs[0], let tensor = graph[q].constant, tensor.shape.count == 2
    else { return emit("Transpose", [input(index)], "transposed", perm) }
    var operands: [String] = []
    for id in graph[producer].inputs.dropFirst() { operands.append(id.map { exporter.use($0) } ?? "") }
    let weights = constant(try tensor.transposed(), "weights")
    let axis = op.axis.map { 1 - ($0 < 0 ? $0 + 2 : $0) }
    return emit(
      "DequantizeLinear",
      [weights] + operands,
      "transposed",
      axis.map { Attributes(("axis", .int($0))) } ?? Attributes()
    )
  }
}

extension Tensor {
  /// A matrix with its axes exchanged.
  func transposed() throws(Refusal) -> Tensor {
    let (rows, columns, size) = (shape[0], shape[1], dtype.size)
    let moved = try unsafe ByteSlice.build(count: bytes.count) { (target) in
      unsafe bytes.withUnsafeBytes { source in
        for row in 0..<rows {
          for column in 0..<columns {
            for byte in 0..<size {
              unsafe target[(column * rows + row) * size + byte] =
                source[(row * columns + column) * size + byte]
            }
          }
        }
      }
    }
    guard let result = Tensor(dtype, [columns, rows], bytes: moved) else {
      preconditionFailure("a transposed matrix has as many elements")
    }
    return result
  }
}
