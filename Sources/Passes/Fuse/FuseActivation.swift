import GraphIR

extension Pass {
  /// Makes a convolution or matrix product apply the activation that follows.
  ///
  /// Before:                           After:
  ///     %1 = conv(%x, %w, %b)             %2 = conv(%x, %w, %b) {activation = "relu"}
  ///     %2 = relu(%1)
  ///
  /// Activations are relu, clip, sigmoid, hard-sigmoid, hard-swish, silu and leaky relu.
  ///
  /// Not applied: the value between has another user or is an output (with a remark); there is an activation already; a
  /// matmul, which has none.
  public static let fuseActivation = Pass(
    name: "fuse-activation",
    summary: "Make convolutions and matrix products apply the activation that follows."
  ) { (graph, context) in
    var changed = false
    for id in graph.order {
      guard let activation = activation(graph[id].op), let input = graph[id].inputs.first ?? nil,
        let (producer, _) = graph.producer(of: input), let linear = LinearNode(graph, producer),
        linear.takesActivation, linear.activation == .none
      else { continue }
      guard graph.hasSingleUse(input) else {
        context.missed(graph, id, "the value before it has another user or is an output")
        continue
      }
      graph.absorb(id, into: producer, as: linear.op(with: activation))
      changed = true
    }
    return changed
  }
}

/// The activation that an operator of its own is; nil for other operators.
func activation(_ op: Op) -> Activation? {
  switch op {
  case .unary(let unary):
    switch unary.kind {
    case .relu: .relu
    case .sigmoid: .sigmoid
    case .hardSwish: .hardSwish
    case .silu: .silu
    case .tanh, .erf, .exp, .log, .sqrt, .reciprocal, .neg, .abs, .floor, .ceil, .round, .sign, .sin, .cos,
      .softplus, .mish, .not:
      nil
    }
  case .clip(let clip): .clip(min: clip.min, max: clip.max)
  case .hardSigmoid(let op): .hardSigmoid(alpha: op.alpha, beta: op.beta)
  case .leakyRelu(let op): .leakyRelu(alpha: op.alpha)
  case .conv, .convTranspose, .gemm, .matMul, .lstm, .gru, .batchNorm, .layerNorm, .maxPool, .averagePool,
    .globalPool,
    .reduce, .argMax, .elu, .gelu, .binary, .compare, .where, .prelu, .softmax, .cast, .reshape, .flatten,
    .transpose, .squeeze, .unsqueeze, .concat, .split, .slice, .gather, .expand, .pad, .shape,
    .constantOfShape, .gatherElements, .gatherND, .scatterND, .cumSum, .tile, .range, .resize,
    .quantizeLinear, .dequantizeLinear, .dequantizeBias, .dequantizeBlocks,
    .dynamicQuantize:
    nil
  }
}
