import BinaryIO
import GraphIR
import Quantization

extension Pass {
  /// Evens out the ranges of channels between linear layers, before calibration.
  ///
  /// Before:                                After:
  ///     %1 = relu(conv(%x, W1, b1))            %1 = relu(conv(%x, W1 / s, b1 / s))
  ///     %2 = conv(%1, W2)                      %2 = conv(%1, W2 · s)
  ///
  /// with `s_i = √(max|W1_i| / max|W2_i|)` for each channel `i` between the two, repeated over all pairs until nothing moves, so
  /// that chains such as expand, depthwise and project settle together. The function stays the same, since
  /// `relu(s · x) = s · relu(x)`. Then one scale per tensor suits all channels.
  ///
  /// Not applied: across other activations (ReLU6 only after `swap-relu6`); where the value between has another user or is an
  /// output; to shared weights and transposed convolutions; to channels whose weights are all 0.
  public static let equalizeChannels = Pass(
    name: "equalize-channels",
    summary: "Even out the ranges of channels between linear layers, for --equalize."
  ) { (graph, context) throws(Refusal) in
    guard context.options.equalizes else { return false }
    var layers: [NodeID: Magnitudes] = [:]
    var pairs: [Pair] = []
    for id in graph.order {
      guard let pair = Pair(from: id, graph, &layers) else { continue }
      pairs.append(pair)
    }
    var changed: Set<NodeID> = []
    for _ in 0..<200 {
      var moved = false
      for pair in pairs {
        guard var first = layers[pair.first], var second = layers[pair.second] else { continue }
        guard equalize(&first, &second) else { continue }
        layers[pair.first] = first
        layers[pair.second] = second
        changed.formUnion([pair.first, pair.second])
        moved = true
      }
      if !moved { break }
    }
    for id in graph.order where changed.contains(id) {
      guard let layer = layers[id] else { continue }
      try layer.apply(to: &graph)
      context.normalized[id] = context.normalized[id].map { layer.scaled($0) }
      context.remark(.applied, at: graph.label(of: id), "the ranges of its channels were evened out")
    }
    return !changed.isEmpty
  }
}

/// A layer and the one after it, to which scales can be moved.
private struct Pair {
  let first: NodeID
  let second: NodeID

  init?(
    from id: NodeID,
    _ graph: Graph,
    _ layers: inout [NodeID: Magnitudes]
  ) {
    guard let first = LinearNode(graph, id), first.activation.isHomogeneous,
      let (user, _) = graph.onlyUser(of: graph.result(of: id)), let second = LinearNode(graph, user),
      second.data == graph.result(of: id)
    else { return nil }
    for layer in [first, second] where layers[layer.id] == nil {
      layers[layer.id] = Magnitudes(layer, graph)
    }
    guard let left = layers[first.id], let right = layers[second.id], left.outputs == right.inputs else {
      return nil
    }
    (self.first, self.second) = (first.id, second.id)
  }
}

/// Moves scales from one layer to the next.
///
/// - Returns: Whether any channel moved by more than 2 %.
private func equalize(_ first: inout Magnitudes, _ second: inout Magnitudes) -> Bool {
  let ranges = zip(first.outputRanges, second.inputRanges)
  let factors = ranges.map { first, second -> Double in
    guard first > 0, second > 0 else { return 1 }
    return min(max((first / second).squareRoot(), 1e-4), 1e4)
  }
  guard factors.contains(where: { abs($0 - 1) > 0.02 }) else { return false }
  for (channel, factor) in factors.enumerated() {
    first.outputFactors[channel] /= factor
    second.inputFactors[channel] *= factor
  }
  return true
}

/// The largest magnitudes of a layer's weight per pair of output and input channel, and the factors that they are
/// multiplied by.
private struct Magnitudes {
  let layer: LinearNode
  let outputs: Int
  let inputs: Int
  var outputFactors: [Double]
  var inputFactors: [Double]
  /// Each output channel has one input channel, the same.
  private let isDepthwise: Bool
  private let isTransposed: Bool
  /// Weights per pair of channels.
  private let area: Int
  /// `[outputs, inputs]`, or `[outputs]` where depthwise.
  private let peaks: [Double]

  /// Nil where the weight or bias is not a constant of its own, or the channels are grouped otherwise.
  init?(_ layer: LinearNode, _ graph: Graph) {
    guard let weight = layer.constantWeight(graph), graph.hasSingleUse(layer.weight),
      layer.biasValues(graph) != nil, layer.bias.map(graph.hasSingleUse) ?? true
    else { return nil }
    let shape = layer.weightShape
    switch layer.op {
    case .conv(let op):
      guard op.group == 1 || op.group == shape[0] && shape[1] == 1 else { return nil }
      isDepthwise = op.group > 1
      isTransposed = false
      inputs = isDepthwise ? shape[0] : shape[1]
    case .gemm(let op):
      guard op.alpha == 1, op.beta == 1, !op.transA else { return nil }
      (isDepthwise, isTransposed) = (false, !op.transB)
      inputs = layer.terms
    default: return nil
    }
    self.layer = layer
    outputs = layer.channels
    area = isDepthwise ? layer.terms : layer.terms / max(inputs, 1)
    outputFactors = [Double](repeating: 1, count: outputs)
    inputFactors = [Double](repeating: 1, count: inputs)
    let values = weight.elements(as: Float.self)
    guard values.allSatisfy(\.isFinite) else { return nil }
    let columns = isDepthwise ? 1 : inputs
    var peaks = [Double](repeating: 0, count: outputs * columns)
    for (index, value) in values.enumerated() {
      let place =
        isTransposed ? index % outputs * columns + index / outputs : index / max(area, 1)
      peaks[place] = max(peaks[place], Double(abs(value)))
    }
    self.peaks = peaks
  }

  /// The largest scaled magnitude of each output channel.
  var outputRanges: [Double] {
    (0..<outputs).map { output in
      if isDepthwise { return peaks[output] * outputFactors[output] * inputFactors[output] }
      return (0..<inputs).reduce(0.0) { max($0, peaks[output * inputs + $1] * inputFactors[$1]) }
        * outputFactors[output]
    }
  }

  /// The largest scaled magnitude that each input channel is multiplied with.
  var inputRanges: [Double] {
    if isDepthwise { return outputRanges }
    var result = [Double](repeating: 0, count: inputs)
    for output in 0..<outputs {
      for input in 0..<inputs {
        result[input] = max(result[input], peaks[output * inputs + input] * outputFactors[output])
      }
    }
    return zip(result, inputFactors).map { $0 * $1 }
  }

  /// The statistics of the outputs with their factors.
  func scaled(_ statistics: ChannelStatistics) -> ChannelStatistics {
    ChannelStatistics(
      means: zip(statistics.means, outputFactors).map { $0 * $1 },
      deviations: zip(statistics.deviations, outputFactors).map { $0 * $1 }
    )
  }

  /// Multiplies weights and bias.
  func apply(to graph: inout Graph) throws(Refusal) {
    guard let weight = layer.constantWeight(graph), let bias = layer.biasValues(graph) else { return }
    var values = weight.elements(as: Float.self)
    for index in values.indices {
      let (output, input): (Int, Int)
      if isTransposed {
        (input, output) = index.quotientAndRemainder(dividingBy: outputs)
      } else if isDepthwise {
        output = index / max(area, 1)
        input = output
      } else {
        let pair = index / max(area, 1)
        (output, input) = pair.quotientAndRemainder(dividingBy: inputs)
      }
      values[index] = Float(Double(values[index]) * outputFactors[output] * inputFactors[input])
    }
    graph.setConstant(try Tensor.make(.float32, weight.shape, values), of: layer.weight)
    guard let id = layer.bias else { return }
    let scaled = zip(bias, outputFactors).map { Float(Double($0) * $1) }
    graph.setConstant(try Tensor.floats(scaled), of: id)
  }
}

extension Activation {
  /// Whether `f(s · x) = s · f(x)` for all positive `s`.
  fileprivate var isHomogeneous: Bool {
    switch self {
    case .none, .relu, .leakyRelu: true
    case .clip, .sigmoid, .hardSigmoid, .hardSwish, .silu: false
    }
  }
}
