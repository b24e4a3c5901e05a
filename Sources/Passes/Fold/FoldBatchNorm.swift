import BinaryIO
import GraphIR

extension Pass {
  /// Folds BatchNorm into the convolution or matrix product before it, or after it.
  ///
  /// Before:                                After:
  ///     %1 = conv(%x, %w, %b)                  %2 = conv(%x, %w', %b')
  ///     %2 = batch_norm(%1, γ, β, μ, σ²)
  ///
  /// with `f = γ/√(σ² + ε)`, `w' = w · f` per output channel and `b' = (b − μ) · f + β`, computed in double and rounded once.
  ///
  /// Into the one after it (`batch_norm` → `conv` or `gemm`), with `g = β − μ · f`: `w' = w · f` per input channel and
  /// `b' = b + Σ w · g`; exact only without padding, whose zeros BatchNorm does not shift.
  ///
  /// Not applied (each with a remark): the value between has another user or is an output; the weight is shared with
  /// another node; a parameter is not a constant; an activation stands between; padding, for the one after it.
  public static let foldBatchNorm = Pass(
    name: "fold-batch-norm",
    summary: "Fold BatchNorm into the convolution or matrix product beside it."
  ) { (graph, context) throws(Refusal) in
    var changed = false
    for id in graph.order {
      guard case .batchNorm(let op) = graph[id].op, graph[id].inputs.count == 5 else { continue }
      guard let affine = Affine(op, graph[id], graph) else {
        context.missed(graph, id, "a parameter is not an f32 constant, or variance + epsilon is not positive")
        continue
      }
      if try foldIntoProducer(id, affine, &graph, &context) {
        changed = true
      } else if try foldIntoUser(id, affine, &graph, &context) {
        changed = true
      }
    }
    return changed
  }
}

/// BatchNorm as `y = x · factor + shift` per channel.
private struct Affine {
  let factors: [Double]
  let shifts: [Double]
  /// Of the result, as training saw it.
  let statistics: ChannelStatistics

  init?(_ op: BatchNorm, _ node: Node, _ graph: Graph) {
    guard let count = graph.constant(node.inputs[1])?.count,
      let gamma = graph.floats(node.inputs[1], count: count),
      let beta = graph.floats(node.inputs[2], count: count),
      let mean = graph.floats(node.inputs[3], count: count),
      let variance = graph.floats(node.inputs[4], count: count)
    else { return nil }
    var factors: [Double] = []
    var shifts: [Double] = []
    for channel in 0..<count {
      let sum = Double(variance[channel]) + Double(op.epsilon)
      guard sum > 0 else { return nil }
      let factor = Double(gamma[channel]) / sum.squareRoot()
      factors.append(factor)
      shifts.append(Double(beta[channel]) - Double(mean[channel]) * factor)
    }
    self.factors = factors
    self.shifts = shifts
    statistics = ChannelStatistics(means: beta.map(Double.init), deviations: gamma.map { Double(abs($0)) })
  }
}

/// What stands against a fold into a linear node, apart from what lies between.
private func obstacle(_ linear: LinearNode, _ graph: Graph) -> String? {
  if case .matMul = linear.op { return "a matmul has no bias to take the shift" }
  guard linear.constantWeight(graph) != nil else { return "the weight is not an f32 constant" }
  guard graph.hasSingleUse(linear.weight) else {
    return "the weight \(Refusal.quoted(graph[linear.weight].name)) is shared with another node"
  }
  guard linear.biasValues(graph) != nil else { return "the bias is not a constant of one value per channel" }
  return nil
}

private func foldIntoProducer(
  _ id: NodeID,
  _ affine: Affine,
  _ graph: inout Graph,
  _ context: inout PassContext
) throws(Refusal) -> Bool {
  guard let input = graph[id].inputs[0], let (producer, _) = graph.producer(of: input),
    let linear = LinearNode(graph, producer)
  else { return false }
  guard graph.hasSingleUse(input) else {
    context.missed(graph, id, "the value before it has another user or is an output")
    return false
  }
  guard linear.activation == .none else {
    context.missed(graph, id, "an activation stands between")
    return false
  }
  if let obstacle = obstacle(linear, graph) {
    context.missed(graph, id, obstacle)
    return false
  }
  guard linear.channels == affine.factors.count, let weight = linear.constantWeight(graph),
    let bias = linear.biasValues(graph)
  else { return false }
  var productFactors = affine.factors
  var biasFactor = 1.0
  var op = linear.op
  if case .gemm(var gemm) = op {
    biasFactor = Double(gemm.beta)
    productFactors = productFactors.map { $0 * Double(gemm.alpha) }
    gemm.alpha = 1
    gemm.beta = 1
    op = .gemm(gemm)
  }
  guard let scaled = try linear.scaledWeight(weight, by: productFactors, in: context.allocator) else {
    return false
  }
  let newBias = bias.indices.map { channel in
    Float(Double(bias[channel]) * biasFactor * affine.factors[channel] + affine.shifts[channel])
  }
  let name = graph[graph.result(of: producer)].name
  try replaceWeight(linear, by: scaled, &graph)
  let operands = try operands(of: linear, bias: newBias, name: name, &graph)
  graph.absorb(id, into: producer, as: op, inputs: operands)
  context.normalized[producer] = affine.statistics
  return true
}

private func foldIntoUser(
  _ id: NodeID,
  _ affine: Affine,
  _ graph: inout Graph,
  _ context: inout PassContext
) throws(Refusal) -> Bool {
  let result = graph.result(of: id)
  guard let user = graph.users(of: result).first, let linear = LinearNode(graph, user),
    linear.data == result
  else { return false }
  guard graph.hasSingleUse(result) else {
    context.missed(graph, id, "its result has another user or is an output")
    return false
  }
  if let obstacle = obstacle(linear, graph) {
    context.missed(graph, id, obstacle)
    return false
  }
  guard let view = InputView(linear), view.channels == affine.factors.count else {
    context.missed(graph, id, "the operator after it pads or is transposed, or counts other channels")
    return false
  }
  guard let weight = linear.constantWeight(graph), let bias = linear.biasValues(graph) else { return false }
  var sums = [Double](repeating: 0, count: linear.channels)
  let scaled = try view.scale(weight, affine.factors, affine.shifts, &sums, in: context.allocator)
  let newBias = bias.indices.map { Float(Double(bias[$0]) * view.biasFactor + sums[$0] * view.productFactor) }
  let name = graph[graph.result(of: user)].name
  try replaceWeight(linear, by: scaled, &graph)
  let operands = try operands(of: linear, bias: newBias, name: name, &graph)
  graph.setInputs([graph[id].inputs[0]] + operands.dropFirst(), of: user)
  if case .gemm(var gemm) = linear.op {
    gemm.beta = 1
    graph.setOp(.gemm(gemm), of: user)
  }
  return true
}

/// A weight seen from its input channels: element `[m, c, k]` at `m · rowStride + c · channelStride + k`.
private struct InputView {
  let channels: Int
  let rows: Int
  let perRow: Int
  let kernel: Int
  let rowStride: Int
  let channelStride: Int
  /// Rows of one group, whose input channels follow those of the group before.
  let rowsPerGroup: Int
  /// What multiplies the product and the bias in the operator.
  let productFactor: Double
  let biasFactor: Double

  init?(_ linear: LinearNode) {
    let shape = linear.weightShape
    switch linear.op {
    case .conv(let op):
      guard op.pads.allSatisfy({ $0 == 0 }), op.group > 0, shape[0] % op.group == 0, shape[0] > 0 else {
        return nil
      }
      (rows, perRow, kernel) = (shape[0], shape[1], shape[2...].reduce(1, *))
      (rowStride, channelStride) = (perRow * kernel, kernel)
      channels = shape[1] * op.group
      rowsPerGroup = shape[0] / op.group
      (productFactor, biasFactor) = (1, 1)
    case .gemm(let op):
      guard !op.transA, linear.channels > 0 else { return nil }
      (rows, perRow, kernel) = (linear.channels, linear.terms, 1)
      (rowStride, channelStride) = op.transB ? (linear.terms, 1) : (1, linear.channels)
      (channels, rowsPerGroup) = (linear.terms, linear.channels)
      (productFactor, biasFactor) = (Double(op.alpha), Double(op.beta))
    default: return nil
    }
  }

  /// The weight times the factor of its input channel; adds `Σ w · shift` to each row's sum.
  func scale(
    _ weight: Tensor,
    _ factors: [Double],
    _ shifts: [Double],
    _ sums: inout [Double],
    in allocator: StorageAllocator
  ) throws(Refusal) -> Tensor {
    var totals = sums
    let tensor = try unsafe Tensor.build(.float32, weight.shape, as: Float.self, in: allocator) { (out) in
      unsafe weight.withElements(as: Float.self) { (source) in
        for row in 0..<rows {
          for column in 0..<perRow {
            let channel = row / rowsPerGroup * perRow + column
            let first = row * rowStride + column * channelStride
            for index in first..<(first + kernel) {
              let value = unsafe Double(source[index])
              unsafe out[index] = Float(value * factors[channel])
              totals[row] += value * shifts[channel]
            }
          }
        }
      }
    }
    sums = totals
    return tensor
  }
}

/// Puts the new weight in the place of the old one, whose pages are not needed any more.
private func replaceWeight(_ linear: LinearNode, by tensor: Tensor, _ graph: inout Graph) throws(Refusal) {
  graph[linear.weight].constant?.releasePages()
  tensor.releasePages()
  graph.setConstant(tensor, of: linear.weight)
}

/// The operands with a new bias: in its old constant where nobody else uses that, else in one of its own.
private func operands(
  of linear: LinearNode,
  bias: [Float],
  name: String,
  _ graph: inout Graph
) throws(Refusal) -> [ValueID?] {
  let tensor = try Tensor.floats(bias)
  if let old = linear.bias, graph.hasSingleUse(old) {
    graph.setConstant(tensor, of: old)
    return [linear.data, linear.weight, old]
  }
  return [linear.data, linear.weight, graph.addConstant(graph.uniqueName("\(name).bias"), tensor)]
}
