package import GraphIR

extension Step {
  /// Multiply-adds by weights or, in a matrix product, of activations; 0 for all other steps and unknown shapes.
  package func multiplyAdds(in graph: Graph) -> Int {
    switch kind {
    case .integerConv(let step): results(graph) * perResult(step.weights.shape)
    case .dynamicConv(let step): results(graph) * perResult(step.weights.shape)
    case .integerConvTranspose(let step): operands(graph) * perResult(step.weights.shape)
    case .integerGemm(let step): results(graph) * depth(step.weights.shape, step.isTransposed)
    case .dynamicGemm(let step): results(graph) * depth(step.weights.shape, step.isTransposed)
    case .dynamicRecurrence(let step): results(graph) * step.cell.gateCount * step.weights.shape[1]
    case .float(let op): multiplyAdds(of: op, in: graph)
    case .integerAdd, .integerMul, .integerConcat, .integerAveragePool, .integerGlobalPool, .integerMaxPool,
      .table, .passThrough, .quantize, .dequantize, .dynamicQuantize:
      0
    }
  }

  private func multiplyAdds(of op: Op, in graph: Graph) -> Int {
    guard inputs.count >= 2, let x = inputs[0], let w = inputs[1],
      let left = graph[x].type.knownDims, let right = graph[w].type.knownDims
    else { return 0 }
    switch op {
    case .conv: return results(graph) * perResult(right)
    case .convTranspose: return operands(graph) * perResult(right)
    case .gemm(let gemm): return right.count == 2 ? results(graph) * depth(right, gemm.transB) : 0
    case .matMul: return results(graph) * (left.last ?? 0)
    case .lstm: return results(graph) * LSTM.gateCount * (right.last ?? 0)
    case .gru: return results(graph) * GRU.gateCount * (right.last ?? 0)
    default: return 0
    }
  }

  /// Weights that meet in one result of a convolution, or that one operand of a transposed one meets.
  private func perResult(_ weights: [Int]) -> Int { weights.dropFirst().reduce(1, *) }

  private func depth(_ weights: [Int], _ isTransposed: Bool) -> Int { weights[isTransposed ? 1 : 0] }

  private func results(_ graph: Graph) -> Int { outputs.first.flatMap { graph[$0].type.elementCount } ?? 0 }

  private func operands(_ graph: Graph) -> Int {
    inputs.first.flatMap { $0 }.flatMap { graph[$0].type.elementCount } ?? 0
  }
}
