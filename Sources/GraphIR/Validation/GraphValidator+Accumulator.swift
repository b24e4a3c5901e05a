internal import BinaryIO

extension GraphValidator {
  /// K4: the scales of a `dequantize_bias` are those of its user's activations and weights.
  ///
  /// Compared where all are constants and both operands come straight from `dequantize_linear`.
  static func checkBiasScale(of node: Node, in graph: Graph) throws(Refusal) {
    guard let bias = graph.producer(of: node, input: 2), case .dequantizeBias = bias.op,
      let biasX = graph.floats(of: bias, input: 1)?.first, let biasW = graph.floats(of: bias, input: 2)
    else { return }
    if let x = dequantizer(of: node, input: 0, in: graph), let scale = graph.floats(of: x, input: 1),
      scale.count == 1
    {
      guard agree(scale[0], biasX) else {
        throw quantization("K4", "its bias is made for activations of scale \(biasX), they have \(scale[0])")
      }
    }
    guard let w = dequantizer(of: node, input: 1, in: graph), let scales = graph.floats(of: w, input: 1)
    else { return }
    let count = Swift.max(scales.count, biasW.count)
    guard [1, count].contains(scales.count), [1, count].contains(biasW.count) else {
      throw quantization("K4", "its bias has \(biasW.count) weight scales, its weight \(scales.count)")
    }
    for channel in 0..<count {
      let (wanted, found) = (scales[scales.count == 1 ? 0 : channel], biasW[biasW.count == 1 ? 0 : channel])
      guard agree(wanted, found) else {
        throw quantization(
          "K4",
          "its bias is made for the weight scale \(found) of channel \(channel), the weight has \(wanted)"
        )
      }
    }
  }

  /// K5: the sum of `K` products of an 8-bit weight and an 8-bit activation fits 32 bits: `K·127·255 <= 2^31 - 1`.
  ///
  /// `K` is the number of taps that meet in one output; checked where both operands are dequantized.
  static func checkAccumulator(of node: Node, in graph: Graph) throws(Refusal) {
    guard isEightBit(node, input: 0, in: graph), isEightBit(node, input: 1, in: graph),
      let taps = taps(of: node, weight: graph.type(of: node, input: 1)?.knownDims)
    else { return }
    let most = Int(Int32.max) / (127 * 255)
    guard taps <= most else {
      throw quantization("K5", "sums \(taps) products of 8-bit numbers, 32 bits are enough for \(most)")
    }
  }

  private static func taps(of node: Node, weight: [Int]?) -> Int? {
    guard let weight, weight.count >= 2 else { return nil }
    switch node.op {
    case .conv: return Checked.product(weight.dropFirst())
    case .convTranspose(let op):
      guard op.group > 0, let kernel = Checked.product(weight.dropFirst(2)) else { return nil }
      return Checked.product(weight[0] / op.group, kernel)
    case .gemm(let op): return op.transB ? weight[1] : weight[0]
    case .matMul: return weight[weight.count - 2]
    case .lstm, .gru, .batchNorm, .layerNorm, .maxPool, .averagePool, .globalPool, .reduce, .argMax, .unary,
      .clip,
      .hardSigmoid, .leakyRelu, .elu, .gelu, .binary, .compare, .where, .prelu, .softmax, .cast, .reshape,
      .flatten,
      .transpose, .squeeze, .unsqueeze, .concat, .split, .slice, .gather, .expand, .pad, .shape,
      .constantOfShape, .gatherElements, .gatherND, .scatterND, .cumSum, .tile, .range, .resize,
      .quantizeLinear, .dequantizeLinear, .dequantizeBias,
      .dequantizeBlocks,
      .dynamicQuantize:
      return nil
    }
  }

  private static func dequantizer(of node: Node, input index: Int, in graph: Graph) -> Node? {
    guard let producer = graph.producer(of: node, input: index), case .dequantizeLinear = producer.op else {
      return nil
    }
    return producer
  }

  private static func isEightBit(_ node: Node, input index: Int, in graph: Graph) -> Bool {
    dequantizer(of: node, input: index, in: graph).flatMap { graph.type(of: $0, input: 0) }?.dtype.size == 1
  }

  /// Equal to a relative 1e-5.
  private static func agree(_ a: Float, _ b: Float) -> Bool {
    Swift.abs(a - b) <= 1e-5 * Swift.max(Swift.abs(a), Swift.abs(b))
  }
}
