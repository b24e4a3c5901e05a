import BinaryIO
package import GraphIR
import Quantization

/// Means of the channels that linear layers read.
package enum ChannelMeans {
  /// A value that linear layers read.
  package struct Target: Hashable, Sendable {
    package let value: ValueID
    /// Whether its channels lie along the last axis, not along the second.
    package let isLast: Bool
  }

  /// The values to look at, in order, each once.
  package static func targets(_ graph: Graph) -> [Target] {
    var seen: Set<ValueID> = []
    return graph.order.compactMap { id in
      guard let linear = LinearNode(graph, id), linear.constantWeight(graph) != nil,
        graph[linear.data].type.dtype == .float32, !graph[linear.data].isConstant,
        let isLast = linear.hasChannelsLast, seen.insert(linear.data).inserted
      else { return nil }
      return Target(value: linear.data, isLast: isLast)
    }
  }

  /// Evidence for `correct-bias` of every quantized layer whose channels' means are known.
  ///
  /// Both networks are taken to read the same, so that what the layer's own rounding does to the means is mended.
  ///
  /// - Parameters:
  ///   - graph: The quantized form of `float`.
  ///   - float: The float network, whose nodes have the same ids.
  ///   - means: By name of the value in the float network.
  package static func evidence(
    of graph: Graph,
    from float: Graph,
    means: [String: [Double]]
  ) -> [NodeID: LayerEvidence] {
    var result: [NodeID: LayerEvidence] = [:]
    for layer in QuantizedLayer.all(in: graph) {
      guard let data = layer.floatData(in: float), let own = means[float[data].name],
        let linear = LinearNode(float, layer.id), let patch = linear.patchMeans(own, float)
      else { continue }
      result[layer.id] = layer.evidence(
        from: float,
        PatchMeans(quantized: patch, float: patch, length: layer.length),
        nil
      )
    }
    return result
  }
}

extension QuantizedLayer {
  /// Where the channels lie of what the float layer reads; nil where they are told neither way.
  package func hasChannelsLast(in float: Graph) -> Bool? { LinearNode(float, id)?.hasChannelsLast }

  /// The mean of every element of the patches that the layer reads, from those of the channels.
  ///
  /// - Returns: nil where the data has another number of channels.
  package func patchMeans(_ means: [Double], in float: Graph) -> [Double]? {
    LinearNode(float, id)?.patchMeans(means, float)
  }
}

extension LinearNode {
  /// Whether the data's channels lie along the last axis, not along the second; nil where they are told neither way.
  fileprivate var hasChannelsLast: Bool? {
    switch op {
    case .conv: false
    case .gemm(let op): op.transA ? nil : true
    case .matMul: true
    default: nil
    }
  }

  /// The mean of every element of a patch, `[group, element]`: that of its channel, times the share of positions at which it does not
  /// lie in the padding.
  ///
  /// - Returns: nil where the data has another number of channels.
  func patchMeans(_ means: [Double], _ graph: Graph) -> [Double]? {
    guard case .conv(let op) = op else { return means.count == terms ? means : nil }
    guard means.count == weightShape[1] * op.group else { return nil }
    let kernel = Array(weightShape[2...])
    let image = graph[data].type.dims.dropFirst(2).map(\.value)
    var shares = [1.0]
    for axis in kernel.indices {
      let own = op.shares(axis, kernel[axis], extent: axis < image.count ? image[axis] : nil)
      shares = shares.flatMap { share in own.map { share * $0 } }
    }
    return means.flatMap { mean in shares.map { mean * $0 } }
  }
}

extension Conv {
  /// For each tap along an axis, the share of positions at which it lies in the image; 1 for an image of unknown extent.
  fileprivate func shares(_ axis: Int, _ kernel: Int, extent: Int?) -> [Double] {
    guard let extent else { return [Double](repeating: 1, count: kernel) }
    let rank = strides.count
    let reach = dilations[axis] * (kernel - 1) + 1
    let positions = max(0, (extent + pads[axis] + pads[axis + rank] - reach) / strides[axis] + 1)
    return (0..<kernel).map { tap in
      let inside = (0..<positions).count { position in
        (0..<extent).contains(position * strides[axis] - pads[axis] + tap * dilations[axis])
      }
      return positions > 0 ? Double(inside) / Double(positions) : 1
    }
  }
}
