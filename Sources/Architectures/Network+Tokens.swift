import BinaryIO
import GraphIR

/// Layers of networks over tokens: features `[batch, tokens, channels]`.
extension Network {
  /// What the checkpoint tells, for descriptions that depend on it as a whole.
  func shape<Shape>(_ make: (Checkpoint) -> Shape) -> Shape { make(checkpoint) }

  func hasParameter(_ name: String) -> Bool { checkpoint[name] != nil }

  /// The input channels of a linear layer.
  func depth(_ layer: String) -> Int? { checkpoint.extent("\(layer).weight", axis: 1) }

  /// Tensors of the checkpoint as features, with the shapes they must have.
  func parameters(_ list: [(name: String, shape: [Int])]) -> [Feature] {
    list.map { Feature(parameter: Demand(name: $0.name, shape: $0.shape)) }
  }

  mutating func layerNorm(_ name: String, _ x: Feature, epsilon: Float) -> Feature {
    let parameters = ["weight", "bias"].map { Demand(name: "\(name).\($0)", shape: [x.channels]) }
    return add(name, .layerNorm(LayerNorm(axis: -1, epsilon: epsilon)), [x], parameters)
  }

  /// A normalisation with the parameters of another layer.
  mutating func layerNorm(_ name: String, _ x: Feature, of layer: String, _ epsilon: Float) -> Feature {
    let parameters = ["weight", "bias"].map { Demand(name: "\(layer).\($0)", shape: [x.channels]) }
    return add(name, .layerNorm(LayerNorm(axis: -1, epsilon: epsilon)), [x], parameters)
  }

  /// What transformers calls GELU and its approximation by tanh.
  static let geluNames = ["gelu", "gelu_python", "gelu_new", "gelu_fast", "gelu_pytorch_tanh"]

  /// GELU, or where `activation` names its approximation, that.
  mutating func gelu(_ name: String, _ x: Feature, named activation: String? = nil) -> Feature {
    let isTanh = Network.geluNames.suffix(3).contains(activation ?? "")
    return add(name, .gelu(Gelu(isTanh: isTanh)), [x])
  }

  mutating func silu(_ name: String, _ x: Feature) -> Feature { add(name, .unary(Unary(.silu)), [x]) }

  mutating func softmax(_ name: String, _ x: Feature) -> Feature {
    add(name, .softmax(Softmax(axis: -1)), [x])
  }

  mutating func matMul(_ name: String, _ x: Feature, _ y: Feature) -> Feature {
    add(name, .matMul(MatMul()), [x, y])
  }

  /// Every channel times a number of the checkpoint, called `name.suffix`.
  mutating func scaled(_ name: String, _ x: Feature, by suffix: String) -> Feature {
    add(name, .binary(Binary(.mul)), [x], [Demand(name: "\(name).\(suffix)", shape: [x.channels])])
  }

  mutating func scaled(_ name: String, _ x: Feature, by factor: Float) -> Feature {
    add(name, .binary(Binary(.mul)), [x], constants: [factor])
  }

  /// The same elements; extents of 0 stay, one of -1 is computed.
  mutating func reshape(_ name: String, _ x: Feature, _ shape: [Int], channels: Int? = nil) -> Feature {
    add(name, .reshape(Reshape(shape: shape)), [x], channels: channels)
  }

  mutating func transpose(_ name: String, _ x: Feature, _ perm: [Int]) -> Feature {
    add(name, .transpose(Transpose(perm: perm)), [x])
  }

  mutating func slice(
    _ name: String,
    _ x: Feature,
    _ range: Range<Int>,
    axis: Int,
    channels: Int? = nil
  ) -> Feature {
    let op = Slice(starts: [range.lowerBound], ends: [range.upperBound], axes: [axis])
    return add(name, .slice(op), [x], channels: channels)
  }

  /// Tokens of zeros before the others, or behind them.
  mutating func padTokens(_ name: String, _ x: Feature, _ count: Int, atEnd: Bool = false) -> Feature {
    add(name, .pad(Pad(pads: atEnd ? [0, 0, 0, 0, count, 0] : [0, count, 0, 0, 0, 0])), [x])
  }

  mutating func joinTokens(_ name: String, _ parts: [Feature]) -> Feature {
    add(name, .concat(Concat(axis: 1)), parts)
  }

  /// The mean over the tokens: `[batch, channels]`.
  mutating func tokenMean(_ name: String, _ x: Feature) -> Feature {
    add(name, .reduce(Reduce(.mean, axes: [1], keepDims: false)), [x])
  }
}

/// Scaled dot-product attention over tokens.
struct Attention {
  /// Before the names of its layers.
  let name: String
  let width: Int
  let heads: Int

  /// `softmax(q · kᵀ / √(width / heads) + mask) · v` per head, of `[batch, tokens, width]`.
  ///
  /// - Parameter mask: Added to the scores, `[batch, 1, 1, tokens]`; nil: none.
  func describe(_ net: inout Network, query: Feature, key: Feature, value: Feature, mask: Feature? = nil)
    -> Feature
  {
    let depth = max(width / heads, 1)
    func split(_ letter: String, _ x: Feature, _ perm: [Int]) -> Feature {
      let y = net.reshape("\(name).\(letter).heads", x, [0, 0, -1, depth])
      return net.transpose("\(name).\(letter)", y, perm)
    }
    let factor = Float(1 / Double(depth).squareRoot())
    let scaled = net.scaled("\(name).scaled", split("q", query, [0, 2, 1, 3]), by: factor)
    var y = net.matMul("\(name).scores", scaled, split("k", key, [0, 2, 3, 1]))
    if let mask { y = net.sum("\(name).masked", y, mask) }
    y = net.softmax("\(name).softmax", y)
    y = net.matMul("\(name).mixed", y, split("v", value, [0, 2, 1, 3]))
    y = net.transpose("\(name).tokens", y, [0, 2, 1, 3])
    return net.reshape("\(name).joined", y, [0, 0, width], channels: width)
  }
}
