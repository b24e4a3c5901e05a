import Glibc
import GraphIR

/// What training saw of the channels of a value, as normal distributions that BatchNorm tells.
///
/// "Data-free quantization through weight equalization and bias correction", Nagel et al. 2019, section 4.2, takes the same view.
package struct ChannelStatistics: Hashable, Sendable {
  package var means: [Double]
  package var deviations: [Double]

  package init(means: [Double], deviations: [Double]) {
    precondition(means.count == deviations.count)
    self.means = means
    self.deviations = deviations
  }

  /// The statistics of a value; nil where they do not follow from those of linear nodes.
  ///
  /// - Parameter outputs: Of linear nodes, before their activations.
  init?(of value: ValueID, _ graph: Graph, outputs: [NodeID: ChannelStatistics], depth: Int = 64) {
    guard depth > 0, let (id, node) = graph.producer(of: value) else { return nil }
    func statistics(_ operand: Int) -> ChannelStatistics? {
      guard let input = node.inputs[operand] else { return nil }
      return ChannelStatistics(of: input, graph, outputs: outputs, depth: depth - 1)
    }
    switch node.op {
    case .conv, .gemm:
      guard let linear = LinearNode(graph, id), let own = outputs[id] else { return nil }
      self = own.behind(linear.activation)
    case .binary(let op) where op.kind == .add:
      guard let a = statistics(0), let b = statistics(1), a.means.count == b.means.count else { return nil }
      means = zip(a.means, b.means).map { $0 + $1 }
      deviations = zip(a.deviations, b.deviations).map { ($0 * $0 + $1 * $1).squareRoot() }
    case .globalPool(let op) where op.kind == .average:
      guard let own = statistics(0) else { return nil }
      self = own
    case .averagePool, .reshape, .flatten, .squeeze:
      guard let own = statistics(0) else { return nil }
      self = own
    case .unary, .clip, .hardSigmoid, .leakyRelu:
      guard let activation = activation(node.op), let own = statistics(0) else { return nil }
      self = own.behind(activation)
    case .convTranspose, .matMul, .binary, .batchNorm, .layerNorm, .maxPool, .globalPool, .reduce, .argMax,
      .elu, .gelu,
      .compare, .where, .prelu, .softmax, .cast, .transpose, .unsqueeze, .concat, .split, .slice, .gather,
      .expand,
      .pad, .shape, .constantOfShape, .gatherElements, .gatherND, .scatterND, .cumSum, .tile, .range, .resize,
      .quantizeLinear, .dequantizeLinear, .dequantizeBias,
      .dequantizeBlocks, .dynamicQuantize, .lstm, .gru:
      return nil
    }
  }

  /// The statistics behind an activation, by the midpoint rule over five deviations to either side.
  func behind(_ activation: Activation) -> ChannelStatistics {
    guard activation != .none else { return self }
    let steps = 101
    let points = (0..<steps).map { (Double($0) - Double(steps / 2)) / 10 }
    let densities = points.map { exp(-0.5 * $0 * $0) }
    let total = densities.reduce(0, +)
    var result = self
    for channel in means.indices {
      var (mean, square) = (0.0, 0.0)
      for (point, density) in zip(points, densities) {
        let value = activation.value(means[channel] + deviations[channel] * point)
        mean += density / total * value
        square += density / total * value * value
      }
      result.means[channel] = mean
      result.deviations[channel] = max(0, square - mean * mean).squareRoot()
    }
    return result
  }
}

extension Activation {
  fileprivate func value(_ x: Double) -> Double {
    switch self {
    case .none: x
    case .relu: max(x, 0)
    case .clip(let low, let high): min(max(x, Double(low)), Double(high))
    case .sigmoid: 1 / (1 + exp(-x))
    case .hardSigmoid(let alpha, let beta): min(max(Double(alpha) * x + Double(beta), 0), 1)
    case .hardSwish: x * min(max(x / 6 + 0.5, 0), 1)
    case .silu: x / (1 + exp(-x))
    case .leakyRelu(let alpha): x < 0 ? Double(alpha) * x : x
    }
  }
}
