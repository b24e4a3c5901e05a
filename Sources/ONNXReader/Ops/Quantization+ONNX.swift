import BinaryIO
import GraphIR

extension OperatorTable {
  /// The QDQ operators, which the IR has too.
  static let quantization = [
    OperatorEntry("QuantizeLinear", 2...3, since: 10, importQuantize),
    OperatorEntry("DequantizeLinear", 2...3, since: 10, importDequantize),
    OperatorEntry("DynamicQuantizeLinear", 1...1, outputs: 1...3, since: 11) { (node) throws(Refusal) in
      try node.finish(.dynamicQuantize(DynamicQuantize()), [node.input(0)], outputs: 3)
    },
  ]

  private static func importQuantize(_ node: inout NodeImporter) throws(Refusal) {
    node.attributes.ignore("saturate")
    try node.attributes.expect("precision", 0)
    let x = try node.input(0)
    let scale = try node.input(1)
    let axis = try node.channelAxis(scale: scale)
    let declared = try node.attributes.int("output_dtype").flatMap { $0 == 0 ? nil : $0 }
    let zeroPoint: Operand
    if let given = node.optional(2) {
      zeroPoint = given
      if let declared, declared != Int(node.type(given).dtype.rawValue) {
        throw NodeAttributes.refusal("output_dtype", "is \(declared), the zero point is \(node.type(given))")
      }
    } else {
      let dtype = try declared.map { (number) throws(Refusal) in try TensorDecoder.dtype(number) } ?? .uint8
      zeroPoint = try node.zeros(dtype, like: node.type(scale))
    }
    try node.finish(
      .quantizeLinear(QuantizeLinear(axis: axis)),
      [x, node.parameter(scale, axis), node.parameter(zeroPoint, axis)]
    )
  }

  private static func importDequantize(_ node: inout NodeImporter) throws(Refusal) {
    try node.attributes.expect("output_dtype", 0)
    if let block = try node.attributes.int("block_size"), block != 0 {
      return try node.dequantizeBlocks(of: block, axis: try node.attributes.int("axis") ?? 1)
    }
    let x = try node.input(0)
    let scale = try node.input(1)
    let axis = try node.channelAxis(scale: scale)
    let zeroPoint = try node.optional(2).map { (zero) throws(Refusal) in try node.parameter(zero, axis) }
    try node.finish(
      .dequantizeLinear(DequantizeLinear(axis: axis)),
      [x, node.parameter(scale, axis), zeroPoint]
    )
  }
}

extension NodeImporter {
  /// The channel axis of a quantization with this scale; nil: per tensor (K3).
  mutating func channelAxis(scale: Operand) throws(Refusal) -> Int? {
    try attributes.expect("block_size", 0)
    let axis = try attributes.int("axis") ?? 1
    return isPerTensor(type(scale)) ? nil : axis
  }

  /// Whether a scale or zero point is one number.
  func isPerTensor(_ type: TensorType) -> Bool { type.rank == 0 || type.dims == [1] }

  /// A scale or zero point in the IR's form: a scalar when it is per tensor.
  func parameter(_ operand: Operand, _ axis: Int?) throws(Refusal) -> Operand {
    guard axis == nil, type(operand).dims == [1] else { return operand }
    if let scalar = constant(operand)?.reshaped([]) { return make(scalar, "scalar") }
    return try emit(.reshape(Reshape(shape: [])), [operand], "scalar")
  }

  /// A constant of zeros with the shape of a scale.
  func zeros(_ dtype: DType, like scale: TensorType) throws(Refusal) -> Operand {
    guard let shape = scale.knownDims, let count = Checked.product(shape),
      count <= Limits.standard.attributeItems
    else {
      throw refusal("K3", "its scale is \(scale), must have a known shape")
    }
    let size = count * dtype.size
    guard let zeros = Tensor(dtype, shape, bytes: try unsafe ByteSlice.build(count: size) { _ in }) else {
      throw refusal("K3", "its scale is \(scale)")
    }
    return make(zeros, "zero_point")
  }

  /// The bias in the IR's form: one whose scale is that of input times weight takes it from there (K4).
  func matchedBias(_ bias: Operand, x: Operand, w: Operand) throws(Refusal) -> Operand {
    guard let node = producer(of: bias), case .dequantizeLinear = node.op, let q = node.inputs[0],
      let xScale = scale(of: x), let wScale = scale(of: w), let own = node.inputs[1].map(operand)
    else { return bias }
    let bq = operand(q)
    guard type(bq).dtype == .int32, type(bq).rank == 1, node.inputs.count < 3 || isZero(node.inputs[2]),
      let xValue = constant(xScale)?.floatValues(), xValue.count == 1,
      let wValues = constant(wScale)?.floatValues(), let values = constant(own)?.floatValues(),
      values.count == wValues.count
    else { return bias }
    let agrees = zip(values, wValues).allSatisfy { (value, weight) in
      let product = Double(xValue[0]) * Double(weight)
      return abs(Double(value) - product) <= 1e-5 * abs(product)
    }
    return agrees ? try emit(.dequantizeBias(DequantizeBias()), [bq, xScale, wScale], "bias") : bias
  }

  /// The scale of an operand that a `dequantize_linear` makes.
  private func scale(of operand: Operand) -> Operand? {
    guard let node = producer(of: operand), case .dequantizeLinear = node.op else { return nil }
    return node.inputs[1].map(self.operand)
  }

  private func isZero(_ id: ValueID?) -> Bool {
    guard let id else { return true }
    return constant(operand(id))?.intValues()?.allSatisfy { $0 == 0 } ?? false
  }
}
