import BinaryIO
import GraphIR
import Quantization

/// A convolution or matrix product seen as data times weight plus bias.
struct LinearNode {
  let id: NodeID
  let op: Op
  let data: ValueID
  let weight: ValueID
  let bias: ValueID?
  let weightShape: [Int]
  /// Output channels.
  let channels: Int
  /// The weight's axis of output channels; nil where groups spread them over two axes.
  let channelAxis: Int?
  /// Products summed for one output, at most.
  let terms: Int
  let activation: Activation

  /// The linear node `id`; nil for other operators and for weights without known extents.
  ///
  /// A matrix product counts when its second operand is a matrix.
  init?(_ graph: Graph, _ id: NodeID) {
    let node = graph[id]
    guard node.inputs.count > 1, let data = node.inputs[0], let weight = node.inputs[1],
      let shape = graph[weight].type.knownDims, shape.count >= 2, Checked.product(shape) != nil
    else { return nil }
    self.id = id
    self.data = data
    self.weight = weight
    op = node.op
    bias = node.inputs.count > 2 ? node.inputs[2] : nil
    weightShape = shape
    switch node.op {
    case .conv(let op):
      (channels, channelAxis, terms) = (shape[0], 0, shape[1...].reduce(1, *))
      activation = op.activation
    case .convTranspose(let op):
      let kernel = shape[2...].reduce(1, *)
      (channels, channelAxis) = (shape[1] * op.group, op.group == 1 ? 1 : nil)
      terms = shape[0] / max(op.group, 1) * kernel
      activation = op.activation
    case .gemm(let op):
      (channels, channelAxis, terms) = op.transB ? (shape[0], 0, shape[1]) : (shape[1], 1, shape[0])
      activation = op.activation
    case .matMul:
      guard shape.count == 2 else { return nil }
      (channels, channelAxis, terms) = (shape[1], 1, shape[0])
      activation = .none
    default: return nil
    }
  }

  /// Whether the weight's rows are inputs and its columns outputs.
  var isTransposed: Bool {
    switch op {
    case .gemm(let op): !op.transB
    case .matMul: true
    default: false
    }
  }

  /// `Σ weight · terms` of each output channel of a convolution or matrix product.
  ///
  /// - Parameters:
  ///   - values: Numbers in the order of the weight.
  ///   - patch: One number per element of a patch, group by group.
  func products(of values: [Double], with patch: [Double]) -> [Double] {
    let perGroup = max(1, channels * terms / max(patch.count, 1))
    let (step, stride) = isTransposed ? (channels, 1) : (1, terms)
    return (0..<channels).map { channel in
      let first = channel / perGroup * terms
      return (0..<terms).reduce(0.0) { $0 + values[channel * stride + $1 * step] * patch[first + $1] }
    }
  }

  /// Gives the node another bias: in its old constant where nobody else uses that, else in one of its own.
  func setBias(_ values: [Float], in graph: inout Graph) throws(Refusal) {
    let tensor = try Tensor.floats(values)
    if let bias, graph.hasSingleUse(bias), graph[bias].isConstant {
      graph.setConstant(tensor, of: bias)
      return
    }
    let name = graph.uniqueName("\(graph[graph.result(of: id)].name).bias")
    graph.setInputs([data, weight, graph.addConstant(name, tensor)], of: id)
  }

  /// The f32 weight, if it is a constant.
  func constantWeight(_ graph: Graph) -> Tensor? {
    guard let tensor = graph[weight].constant, tensor.dtype == .float32 else { return nil }
    return tensor
  }

  /// The bias as one number per channel: zeros where there is none; nil where it is not such a constant.
  func biasValues(_ graph: Graph) -> [Float]? {
    guard let bias else { return [Float](repeating: 0, count: channels) }
    guard let tensor = graph[bias].constant, tensor.dtype == .float32 else { return nil }
    if tensor.count == 1, case .gemm = op {
      return tensor.elements(as: Float.self).first.map { [Float](repeating: $0, count: channels) }
    }
    guard tensor.count == channels, tensor.shape.last == channels else { return nil }
    return tensor.elements(as: Float.self)
  }

  /// The operator with another activation.
  func op(with activation: Activation) -> Op {
    switch op {
    case .conv(var op):
      op.activation = activation
      return .conv(op)
    case .convTranspose(var op):
      op.activation = activation
      return .convTranspose(op)
    case .gemm(var op):
      op.activation = activation
      return .gemm(op)
    default: return op
    }
  }

  /// Whether the node is a matrix product of rows with nothing but a bias behind it.
  var isPlainMatrix: Bool {
    switch op {
    case .gemm(let op): op.alpha == 1 && op.beta == 1 && !op.transA && op.activation == .none
    case .matMul: true
    default: false
    }
  }

  /// Whether the node multiplies rows of its data by a matrix.
  var isPlainRows: Bool {
    switch op {
    case .gemm(let op): op.alpha == 1 && op.beta == 1 && !op.transA
    case .matMul: true
    default: false
    }
  }

  /// Whether the operator applies an activation of its own.
  var takesActivation: Bool {
    if case .matMul = op { return false }
    return true
  }

  /// The weight with each output channel multiplied by its factor, in double, rounded once.
  func scaledWeight(
    _ tensor: Tensor,
    by factors: [Double],
    in allocator: StorageAllocator
  ) throws(Refusal) -> Tensor? {
    if case .convTranspose(let op) = op {
      guard let layout = ChannelLayout(tensor, axis: 1) else { return nil }
      return try tensor.scaled(
        layout,
        by: factors,
        rowsPerGroup: max(1, layout.outer / max(op.group, 1)),
        in: allocator
      )
    }
    guard let layout = ChannelLayout(tensor, axis: channelAxis) else { return nil }
    return try tensor.scaled(layout, by: factors, rowsPerGroup: max(1, layout.outer), in: allocator)
  }
}

extension Tensor {
  /// An f32 tensor with channel `c` of row `r` multiplied by `factors[r / rowsPerGroup · channels + c]`.
  func scaled(
    _ layout: ChannelLayout,
    by factors: [Double],
    rowsPerGroup: Int,
    in allocator: StorageAllocator
  ) throws(Refusal) -> Tensor {
    try unsafe Tensor.build(.float32, shape, as: Float.self, in: allocator) { (out) in
      unsafe forEachBlock(of: Float.self) { (block, start) in
        layout.forEachRun(in: start..<(start + block.count)) { (run, row, channel) in
          let first = row / rowsPerGroup * layout.channels + channel
          if layout.inner == 1 {
            for (step, index) in run.enumerated() {
              unsafe out[index] = unsafe Float(Double(block[index - start]) * factors[first + step])
            }
          } else {
            let factor = factors[first]
            for index in run { unsafe out[index] = unsafe Float(Double(block[index - start]) * factor) }
          }
        }
      }
    }
  }
}
