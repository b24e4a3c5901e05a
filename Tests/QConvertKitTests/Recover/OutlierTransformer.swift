import BinaryIO
import GraphIR
import TestSupport

/// A small vision transformer with massive activations, as large ones learn them.
///
/// 25 patches, a class token and four registers; 128 channels, two heads, three blocks, LayerScale. In one channel the residual
/// stream at the registers, tokens 1 to 4, is 300 times the largest value elsewhere. Normalisation has a large factor there, and the first
/// block has a hidden unit that takes the channel up and writes it back, so that what `qkv`, `fc1` and `fc2` read has values
/// 300 times the usual peaks in one column at four tokens. Other weights are random from a fixed seed.
struct OutlierTransformer {
  static let tokens = 30
  static let registers = 1...4
  private static let width = 128
  private static let hidden = 512
  private static let loud = 17
  private static let unit = 101
  /// About the largest of the values that are not massive.
  private static let usualPeak: Float = 3

  private(set) var graph = Graph(name: "vit")
  private var random: SplitMix64

  /// - Parameter magnitude: How many times as large the massive activations are; 1: there are none.
  init(magnitude: Float, seed: UInt64 = 7) throws {
    random = SplitMix64(seed: seed)
    let image = graph.addInput("image", TensorType(.float32, [.symbol("batch"), 3, 40, 40]))
    var x = try embed(image, magnitude)
    for block in 0..<3 { x = try self.block("blocks.\(block)", x, magnitude) }
    x = try normalized("norm", x, magnitude)
    let token = try node(.slice(Slice(starts: [0], ends: [1], axes: [1])), [x], "token")
    let flat = try node(.reshape(Reshape(shape: [0, OutlierTransformer.width])), [token], "token.flat")
    graph.addOutput(try linear("logits", flat, 10) { _, input in input == OutlierTransformer.loud ? 0 : nil })
  }

  /// Random images, `[count, 3, 40, 40]`.
  static func images(_ count: Int, seed: UInt64) throws -> Tensor {
    var random = SplitMix64(seed: seed)
    return try Tensor.floats((0..<count * 4800).map { _ in random.normal() }, [count, 3, 40, 40])
  }

  private mutating func node(_ op: Op, _ inputs: [ValueID?], _ name: String) throws -> ValueID {
    let id = try graph.addNode(op, name: name, inputs: inputs, outputNames: [name])
    return graph[id].outputs[0]
  }

  private mutating func constant(_ name: String, _ shape: [Int], _ value: (Int) -> Float) throws -> ValueID {
    graph.addConstant(name, try Tensor.floats((0..<shape.reduce(1, *)).map(value), shape))
  }

  /// A matrix product with random weights, except where `planted` tells one of (output, input).
  private mutating func linear(
    _ name: String,
    _ x: ValueID,
    _ outputs: Int,
    planted: (Int, Int) -> Float? = { _, _ in nil }
  ) throws -> ValueID {
    let inputs = graph[x].type.dims.last?.value ?? 0
    let deviation = 1 / Float(inputs).squareRoot()
    var values: [Float] = []
    for output in 0..<outputs {
      for input in 0..<inputs {
        let value = random.normal() * deviation
        values.append(planted(output, input) ?? value)
      }
    }
    let weight = graph.addConstant("\(name).weight", try Tensor.floats(values, [outputs, inputs]))
    let biases = (0..<outputs).map { _ in random.normal() * 0.1 }
    let bias = graph.addConstant("\(name).bias", try Tensor.floats(biases))
    return try node(.gemm(Gemm(transB: true)), [x, weight, bias], name)
  }

  private mutating func normalized(_ name: String, _ x: ValueID, _ magnitude: Float) throws -> ValueID {
    let width = OutlierTransformer.width
    // Normalised, the loud channel is the square root of the width at the registers.
    let peak = magnitude > 1 ? magnitude * OutlierTransformer.usualPeak / Float(width).squareRoot() : 1
    let scale = try constant("\(name).weight", [width]) { $0 == OutlierTransformer.loud ? peak : 1 }
    let shift = try constant("\(name).bias", [width]) { _ in 0 }
    return try node(.layerNorm(LayerNorm(axis: -1, epsilon: 1e-6)), [x, scale, shift], name)
  }

  private mutating func embed(_ image: ValueID, _ magnitude: Float) throws -> ValueID {
    let width = OutlierTransformer.width
    let weights = (0..<width * 192).map { index in
      random.normal() * 0.07 * (magnitude > 1 && index / 192 == OutlierTransformer.loud ? 0.01 : 1)
    }
    let weight = graph.addConstant("patch.weight", try Tensor.floats(weights, [width, 3, 8, 8]))
    let conv = Conv(strides: [8, 8], pads: [0, 0, 0, 0], dilations: [1, 1])
    var x = try node(.conv(conv), [image, weight], "patch")
    x = try node(.reshape(Reshape(shape: [0, width, -1])), [x], "patch.flat")
    x = try node(.transpose(Transpose(perm: [0, 2, 1])), [x], "patch.tokens")
    x = try node(.pad(Pad(pads: [0, 5, 0, 0, 0, 0])), [x], "patch.padded")
    let noise = (0..<OutlierTransformer.tokens * width).map { _ in random.normal() * 0.5 }
    let positions = try constant("positions", [1, OutlierTransformer.tokens, width]) { index in
      let (token, channel) = index.quotientAndRemainder(dividingBy: width)
      guard magnitude > 1, channel == OutlierTransformer.loud else { return noise[index] }
      return OutlierTransformer.registers.contains(token)
        ? magnitude * OutlierTransformer.usualPeak : 0
    }
    return try node(.binary(Binary(.add)), [x, positions], "embedded")
  }

  private mutating func block(_ name: String, _ x: ValueID, _ magnitude: Float) throws -> ValueID {
    let (width, loud, unit) = (OutlierTransformer.width, OutlierTransformer.loud, OutlierTransformer.unit)
    let isMassive = magnitude > 1
    var y = try attention("\(name).attn", try normalized("\(name).norm1", x, magnitude), isMassive)
    y = try layerScaled("\(name).ls1", y)
    let middle = try node(.binary(Binary(.add)), [x, y], "\(name).add1")
    y = try normalized("\(name).norm2", middle, magnitude)
    y = try linear("\(name).fc1", y, OutlierTransformer.hidden) { output, input in
      guard isMassive, input == loud || output == unit else { return nil }
      return input == loud && output == unit ? 1 : 0
    }
    y = try node(.gelu(Gelu()), [y], "\(name).gelu")
    y = try linear("\(name).fc2", y, width) { output, input in
      guard isMassive, input == unit || output == loud else { return nil }
      return input == unit && output == loud ? 1 : 0
    }
    y = try layerScaled("\(name).ls2", y)
    return try node(.binary(Binary(.add)), [middle, y], "\(name).add2")
  }

  private mutating func layerScaled(_ name: String, _ x: ValueID) throws -> ValueID {
    let values = (0..<OutlierTransformer.width).map { _ in random.float(0.05...0.15) }
    let gamma = try constant("\(name).gamma", [OutlierTransformer.width]) { values[$0] }
    return try node(.binary(Binary(.mul)), [x, gamma], name)
  }

  private mutating func attention(_ name: String, _ x: ValueID, _ isMassive: Bool) throws -> ValueID {
    let (width, loud) = (OutlierTransformer.width, OutlierTransformer.loud)
    let joined = try linear("\(name).qkv", x, 3 * width) { _, input in isMassive && input == loud ? 0 : nil }
    var parts: [ValueID] = []
    for (index, perm) in [[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]].enumerated() {
      let range = Slice(starts: [index * width], ends: [(index + 1) * width], axes: [2])
      let part = try node(.slice(range), [joined], "\(name).part\(index)")
      let heads = try node(.reshape(Reshape(shape: [0, 0, 2, 64])), [part], "\(name).heads\(index)")
      parts.append(try node(.transpose(Transpose(perm: perm)), [heads], "\(name).turned\(index)"))
    }
    let factor = graph.addConstant("\(name).factor", try Tensor.floats([0.125], []))
    let query = try node(.binary(Binary(.mul)), [parts[0], factor], "\(name).query")
    let scores = try node(.matMul(MatMul()), [query, parts[1]], "\(name).scores")
    let shares = try node(.softmax(Softmax(axis: -1)), [scores], "\(name).shares")
    let mixed = try node(.matMul(MatMul()), [shares, parts[2]], "\(name).mixed")
    let turned = try node(.transpose(Transpose(perm: [0, 2, 1, 3])), [mixed], "\(name).turned")
    let flat = try node(.reshape(Reshape(shape: [0, 0, width])), [turned], "\(name).flat")
    return try linear("\(name).proj", flat, width) { output, _ in isMassive && output == loud ? 0 : nil }
  }
}
