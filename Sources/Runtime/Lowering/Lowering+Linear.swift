internal import BinaryIO
internal import GraphIR

/// Convolutions and matrix products.
extension Lowering {
  /// The parts of a linear operator that its four forms share.
  private struct Linear {
    let weight: WeightOperand
    /// Axis of the output channels of the weight.
    let axis: Int
    let bias: ValueID?
    let activation: Activation
  }

  /// What a static linear operator becomes.
  private struct StaticForm {
    let input: QuantizedOperand
    let bias: [Int32]
    let tail: LinearTail
    let output: ValueID
    let nodes: [NodeID]
  }

  func conv(_ id: NodeID, _ op: Conv) throws(Miss) -> Step {
    let node = graph[id]
    let weight = try weight(node.inputs[1], axis: 0)
    let linear = Linear(weight: weight, axis: 0, bias: operand(node, 2), activation: op.activation)
    let geometry = ConvGeometry(op, kernel: weight.tensor.shape.dropFirst(2))
    if let input = dynamic(node.inputs[0]) {
      guard !input.isPerRow else { throw Miss("a convolution has one scale for its input") }
      let tail = try dynamicTail(linear)
      let kind = Step.Kind.dynamicConv(DynamicConv(geometry: geometry, weights: weight.tensor, tail: tail))
      return dynamicStep(kind, input, id)
    }
    let form = try staticForm(id, linear)
    let kind = Step.Kind.integerConv(
      IntegerConv(
        geometry: geometry,
        inputZeroPoint: form.input.affine.zeroPoint,
        weights: weight.tensor,
        bias: form.bias,
        tail: form.tail
      )
    )
    return Step(kind, inputs: [form.input.id], outputs: [form.output], nodes: form.nodes)
  }

  func convTranspose(_ id: NodeID, _ op: ConvTranspose) throws(Miss) -> Step {
    let node = graph[id]
    guard op.group == 1 else {
      throw Miss("conv_transpose in integers takes one group, this has \(op.group)")
    }
    guard dynamic(node.inputs[0]) == nil else { throw Miss("conv_transpose has no dynamic integer form") }
    let weight = try weight(node.inputs[1], axis: 1)
    let form = try staticForm(
      id,
      Linear(weight: weight, axis: 1, bias: operand(node, 2), activation: op.activation)
    )
    let geometry = ConvGeometry(op, kernel: weight.tensor.shape.dropFirst(2))
    let kind = Step.Kind.integerConvTranspose(
      IntegerConvTranspose(
        geometry: geometry,
        outputPadding: op.outputPadding,
        inputZeroPoint: form.input.affine.zeroPoint,
        weights: weight.tensor,
        bias: form.bias,
        tail: form.tail
      )
    )
    return Step(kind, inputs: [form.input.id], outputs: [form.output], nodes: form.nodes)
  }

  func gemm(_ id: NodeID, _ op: Gemm) throws(Miss) -> Step {
    let node = graph[id]
    let bias = operand(node, 2)
    guard !op.transA else { throw Miss("its first operand is transposed") }
    guard op.alpha == 1, bias == nil || op.beta == 1 else { throw Miss("alpha or beta is not 1") }
    let axis = op.transB ? 0 : 1
    let weight = try weight(node.inputs[1], axis: axis)
    return try matrixStep(id, Linear(weight: weight, axis: axis, bias: bias, activation: op.activation))
  }

  func matMul(_ id: NodeID) throws(Miss) -> Step {
    let node = graph[id]
    guard let a = node.inputs[0], graph[a].type.rank >= 2 else { throw Miss("its first operand is a vector") }
    guard let b = node.inputs[1], graph[b].type.rank == 2 else { throw Miss("its weight is not a matrix") }
    let weight = try weight(b, axis: 1)
    return try matrixStep(id, Linear(weight: weight, axis: 1, bias: nil, activation: .none))
  }

  private func matrixStep(_ id: NodeID, _ linear: Linear) throws(Miss) -> Step {
    let weights = linear.weight.tensor
    let isTransposed = linear.axis == 0
    if let input = dynamic(graph[id].inputs[0]) {
      let gemm = DynamicGemm(
        weights: weights,
        isTransposed: isTransposed,
        isPerRow: input.isPerRow,
        tail: try dynamicTail(linear)
      )
      return dynamicStep(.dynamicGemm(gemm), input, id)
    }
    let form = try staticForm(id, linear)
    let gemm = IntegerGemm(
      inputZeroPoint: form.input.affine.zeroPoint,
      weights: weights,
      isTransposed: isTransposed,
      bias: form.bias,
      tail: form.tail
    )
    return Step(.integerGemm(gemm), inputs: [form.input.id], outputs: [form.output], nodes: form.nodes)
  }

  private func dynamicStep(_ kind: Step.Kind, _ input: DynamicOperand, _ id: NodeID) -> Step {
    Step(kind, inputs: [input.id, input.scale, input.zeroPoint], outputs: graph[id].outputs, nodes: [id])
  }

  private func dynamicTail(_ linear: Linear) throws(Miss) -> DynamicTail {
    try checkAccumulator(linear, bias: [], widest: 255)
    let bias = try linear.bias.map { (id) throws(Miss) in try floatBias(id, linear) }
    return DynamicTail(weightScales: linear.weight.scales, bias: bias, activation: linear.activation)
  }

  private func staticForm(_ id: NodeID, _ linear: Linear) throws(Miss) -> StaticForm {
    let input = try activation(graph[id].inputs[0])
    let scales = linear.weight.scales.map { IntegerArithmetic.accumulatorScale(input.affine.scale, $0) }
    var bias = scales.map { _ in Int32(0) }
    var floatBias: [Float]?
    if let operand = linear.bias {
      if let integers = try integerBias(operand, linear, input) {
        bias = integers
      } else {
        floatBias = try self.floatBias(operand, linear)
      }
    }
    let zeroPoint = input.affine.zeroPoint
    try checkAccumulator(linear, bias: bias, widest: Int(max(zeroPoint, 255 - zeroPoint)))
    guard scales.allSatisfy({ (0x1p-126...0x1p100).contains($0) }) else {
      throw Miss("the product of input and weight scale is too small or too large")
    }
    let result = graph[id].outputs[0]
    guard let chain = try? outputChain(result),
      let activation = tailActivation(chain.functions, after: linear.activation)
    else {
      let tail = LinearTail.real(scales: scales, bias: floatBias, linear.activation, output: nil)
      return StaticForm(input: input, bias: bias, tail: tail, output: result, nodes: [id])
    }
    let tail: LinearTail
    if floatBias == nil, let clamp = OutputClamp(activation, output: chain.affine) {
      tail = .requantize(multipliers: try multipliers(linear, input, chain.affine), clamp)
    } else {
      tail = .real(scales: scales, bias: floatBias, activation, output: chain.affine)
    }
    return StaticForm(input: input, bias: bias, tail: tail, output: chain.id, nodes: [id] + chain.nodes)
  }

  private func multipliers(
    _ linear: Linear,
    _ input: QuantizedOperand,
    _ output: Affine
  ) throws(Miss) -> [Float] {
    var result: [Float] = []
    for scale in linear.weight.scales {
      guard let m = IntegerArithmetic.multiplier(input.affine.scale, scale, over: output.scale) else {
        throw Miss("a requantization multiplier is too small or too large")
      }
      result.append(m)
    }
    return result
  }

  /// The i32 bias, if the operand is one whose scale is that of the accumulator.
  private func integerBias(
    _ id: ValueID,
    _ linear: Linear,
    _ input: QuantizedOperand
  ) throws(Miss) -> [Int32]? {
    guard let node = producer(id), case .dequantizeBias = node.op else { return nil }
    guard let bias = node.inputs[0].flatMap({ graph[$0].constant }), bias.count == linear.weight.scales.count
    else { throw Miss("bias \(describe(id)) is not constant, one per output channel") }
    guard let inputScale = node.inputs[1].flatMap({ graph[$0].constant }),
      inputScale.dtype == .float32, inputScale.elements(as: Float.self) == [input.affine.scale],
      let weightScale = node.inputs[2],
      weightScale == linear.weight.scaleID || sameElements(weightScale, linear.weight.scaleID)
    else { throw Miss("the scale of bias \(describe(id)) is not that of its input and weight") }
    return bias.elements(as: Int32.self)
  }

  private func sameElements(_ a: ValueID, _ b: ValueID) -> Bool {
    guard let first = graph[a].constant, let second = graph[b].constant, first.dtype == .float32,
      second.dtype == .float32
    else { return false }
    return first.elements(as: Float.self) == second.elements(as: Float.self)
  }

  private func floatBias(_ id: ValueID, _ linear: Linear) throws(Miss) -> [Float] {
    guard let bias = graph[id].constant, bias.dtype == .float32, bias.count == linear.weight.scales.count,
      bias.shape.last == bias.count
    else { throw Miss("bias \(describe(id)) is not an f32 constant, one per output channel") }
    return bias.elements(as: Float.self)
  }

  /// K5: `|bias| + widest * Σ|w|` must fit i32 for every output channel.
  private func checkAccumulator(_ linear: Linear, bias: [Int32], widest: Int) throws(Miss) {
    let terms = linear.weight.tensor.count / max(1, linear.weight.tensor.shape[linear.axis])
    let largest = bias.reduce(0) { max($0, Int($1.magnitude)) }
    // Weights of the largest magnitude would fit, too: no need to add up these.
    if let most = Checked.product([terms, 128, widest]), most <= Int(Int32.max) - largest { return }
    let sums = absoluteSums(linear.weight.tensor, axis: linear.axis)
    for (channel, sum) in sums.enumerated() {
      let offset = channel < bias.count ? Int(bias[channel].magnitude) : 0
      guard sum * widest + offset <= Int(Int32.max) else {
        throw Miss("the accumulator of output channel \(channel) could exceed 32 bits (K5)")
      }
    }
  }

  /// `Σ|w|` per index of `axis`.
  private func absoluteSums(_ tensor: Tensor, axis: Int) -> [Int] {
    let channels = tensor.shape[axis]
    let inner = tensor.shape[(axis + 1)...].reduce(1, *)
    let outer = tensor.shape[..<axis].reduce(1, *)
    return unsafe tensor.withElements(as: Int8.self) { elements in
      var sums = [Int](repeating: 0, count: channels)
      for block in 0..<outer {
        for channel in 0..<channels {
          let start = (block * channels + channel) * inner
          var sum = 0
          for index in start..<start + inner { sum += Int(unsafe elements[index].magnitude) }
          sums[channel] += sum
        }
      }
      return sums
    }
  }

  private func operand(_ node: Node, _ index: Int) -> ValueID? {
    index < node.inputs.count ? node.inputs[index] : nil
  }
}
