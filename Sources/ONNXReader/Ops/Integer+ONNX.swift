import BinaryIO
import GraphIR

extension OperatorTable {
  /// Integer operators, rewritten into float ones between dequantization and quantization.
  static let integer = [
    OperatorEntry("QLinearConv", 8...9, since: 10, importQLinearConv),
    OperatorEntry("QLinearMatMul", 8...8, since: 10, importQLinearMatMul),
    OperatorEntry("ConvInteger", 2...4, since: 10, importConvInteger),
    OperatorEntry("MatMulInteger", 2...4, since: 10, importMatMulInteger),
  ]

  /// Operands: x, its scale and zero point, w, its scale and zero point, the result's scale and zero point, bias.
  private static func importQLinearConv(_ node: inout NodeImporter) throws(Refusal) {
    let scales = [try node.input(1), try node.input(4), try node.input(6)]
    let wAxis = node.isPerTensor(node.type(scales[1])) ? nil : 0
    let xScale = try node.parameter(scales[0], nil)
    let wScale = try node.parameter(scales[1], wAxis)
    let x = try node.dequantize(node.input(0), xScale, node.input(2), axis: nil, "x")
    let w = try node.dequantize(node.input(3), wScale, node.input(5), axis: wAxis, "w")
    let bias = try node.optional(8).map { (bias) throws(Refusal) in
      try node.emit(.dequantizeBias(DequantizeBias()), [bias, xScale, wScale], "bias")
    }
    let op = try conv(&node, x: node.type(x), w: node.type(w))
    let y = try node.emit(.conv(op), bias.map { [x, w, $0] } ?? [x, w], "conv")
    try node.finishQuantized(y, scale: scales[2], zeroPoint: node.input(7))
  }

  private static func importQLinearMatMul(_ node: inout NodeImporter) throws(Refusal) {
    let a = try node.matrix(0, scale: node.input(1), zeroPoint: node.input(2), isLeft: true, "a")
    let b = try node.matrix(3, scale: node.input(4), zeroPoint: node.input(5), isLeft: false, "b")
    let y = try node.emit(.matMul(MatMul()), [a, b], "matmul")
    try node.finishQuantized(y, scale: node.input(6), zeroPoint: node.input(7))
  }

  /// With scale 1 the float sum is the integer one; beyond 2^24 it is rounded to 24 bits.
  private static func importConvInteger(_ node: inout NodeImporter) throws(Refusal) {
    let one = node.make(try Tensor.floats([1], []), "one")
    let x = try node.dequantize(node.input(0), one, node.optional(2), axis: nil, "x")
    let w = try node.integerWeight(1, zeroPoint: node.optional(3), axis: 0)
    let op = try conv(&node, x: node.type(x), w: node.type(w))
    let sum = try node.emit(.conv(op), [x, w], "conv")
    try node.finish(.cast(Cast(to: .int32)), [sum])
  }

  private static func importMatMulInteger(_ node: inout NodeImporter) throws(Refusal) {
    let one = node.make(try Tensor.floats([1], []), "one")
    let a = try node.matrix(0, scale: one, zeroPoint: node.optional(2), isLeft: true, "a")
    let b = try node.integerWeight(1, zeroPoint: node.optional(3), axis: -1)
    let sum = try node.emit(.matMul(MatMul()), [a, b], "matmul")
    try node.finish(.cast(Cast(to: .int32)), [sum])
  }
}

extension NodeImporter {
  /// An integer operand as a float one; a zero point that is 0 is left out for signed operands.
  func dequantize(
    _ q: Operand,
    _ scale: Operand,
    _ zeroPoint: Operand?,
    axis: Int?,
    _ suffix: String
  ) throws(Refusal) -> Operand {
    var zero = zeroPoint
    if let given = zeroPoint, let values = constant(given)?.intValues(), values.allSatisfy({ $0 == 0 }) {
      zero = nil
    }
    if let given = zero { zero = try parameter(given, axis) }
    // One zero point may serve a scale per channel.
    if let given = zero, axis != nil, type(given).dims != type(scale).dims {
      zero = try emit(.expand(Expand(shape: type(scale).knownDims)), [given], "\(suffix)_zero_point")
    }
    return try emit(
      .dequantizeLinear(DequantizeLinear(axis: axis)),
      zero.map { [q, scale, $0] } ?? [q, scale],
      suffix
    )
  }

  /// An operand of a matrix product: its vectors run along the last axis but one when it is the left operand.
  func matrix(
    _ index: Int,
    scale: Operand,
    zeroPoint: Operand?,
    isLeft: Bool,
    _ suffix: String
  ) throws(Refusal) -> Operand {
    let axis = isPerTensor(type(scale)) ? nil : (isLeft ? -2 : -1)
    return try dequantize(input(index), parameter(scale, axis), zeroPoint, axis: axis, suffix)
  }

  /// The weight of an integer operator with scale 1, per channel where its zero point is.
  func integerWeight(_ index: Int, zeroPoint: Operand?, axis: Int) throws(Refusal) -> Operand {
    let w = try input(index)
    guard let zeroPoint, !isPerTensor(type(zeroPoint)), let count = type(zeroPoint).elementCount,
      count <= Limits.standard.attributeItems
    else {
      let one = make(try Tensor.floats([1], []), "w_one")
      return try dequantize(w, one, zeroPoint, axis: nil, "w")
    }
    let ones = make(try Tensor.floats(Array(repeating: 1, count: count)), "w_one")
    return try dequantize(w, ones, zeroPoint, axis: axis, "w")
  }

  /// Quantizes a float result into the node's output.
  func finishQuantized(_ y: Operand, scale: Operand, zeroPoint: Operand) throws(Refusal) {
    guard isPerTensor(type(scale)) else {
      throw refusal("K3", "its result's scale is \(type(scale)), must be one number")
    }
    try finish(
      .quantizeLinear(QuantizeLinear()),
      [y, parameter(scale, nil), parameter(zeroPoint, nil)]
    )
  }
}
