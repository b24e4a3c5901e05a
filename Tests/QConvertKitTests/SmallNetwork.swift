import BinaryIO
import Datasets
import GraphIR
import QModelFormat
import TestSupport

/// Files of a random network of convolutions, and of samples for it.
struct SmallNetwork {
  /// What 8 bits do badly in the second convolution.
  enum Flaw {
    /// One scale for its weights.
    case weights
    /// One scale for what it reads.
    case activations
  }

  let model: String
  let data: String

  /// Writes the files.
  ///
  /// - Parameters:
  ///   - folder: Where they go.
  ///   - layers: Convolutions of 3x3 with ReLU.
  ///   - flaw: Of the second one.
  ///   - areScores: Whether the output is a vector per sample, or a map.
  ///   - samples: How many.
  ///   - isLabelled: Whether there are labels, which are the network's own predictions for the most part.
  init(
    in folder: String,
    layers: Int,
    flaw: Flaw = .weights,
    areScores: Bool,
    samples: Int,
    isLabelled: Bool = false
  ) throws {
    var random = SplitMix64(seed: 77)
    var graph = Graph(name: "small")
    var value = graph.addInput("x", TensorType(.float32, [.symbol("n"), 4, 8, 8]))
    for layer in 0..<layers {
      var weights = (0..<(8 * 8 * 9)).map { _ in random.normal() * 0.16 }
      if layer == 0 { weights = Array(weights.prefix(8 * 4 * 9)) }
      // One layer's first channel is large and not used by the next: with one scale for the tensor it spoils the others, and it
      // does nothing else. Where only weights are to be spoilt, ReLU always cuts it off.
      let (large, factor): (Int, Float) = flaw == .weights ? (1, 30) : (0, 100)
      if layer == large { for index in 0..<(weights.count / 8) { weights[index] *= factor } }
      if layer == large + 1 { for index in weights.indices where index / 9 % 8 == 0 { weights[index] = 0 } }
      let weight = graph.addConstant("w\(layer)", try Tensor.floats(weights, [8, layer == 0 ? 4 : 8, 3, 3]))
      var biases = (0..<8).map { _ in random.float(-0.2...0.2) }
      if layer == 1, flaw == .weights { biases[0] = -10_000 }
      let bias = graph.addConstant("b\(layer)", try Tensor.floats(biases))
      let conv = Conv(strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1], activation: .relu)
      let node = try graph.addNode(.conv(conv), inputs: [value, weight, bias], outputNames: ["a\(layer)"])
      value = graph[node].outputs[0]
    }
    if areScores {
      for op in [Op.globalPool(GlobalPool(.average)), .flatten(Flatten(axis: 1))] {
        let node = try graph.addNode(op, inputs: [value], outputNames: ["\(op.name)"])
        value = graph[node].outputs[0]
      }
    }
    graph.addOutput(value)
    try TypeInference.infer(&graph)
    try GraphValidator.validate(graph)
    model = folder + "/small.qmodel"
    data = folder + "/samples.npz"
    try QModelWriter.write(graph, to: model, options: QModelWriterOptions())
    let inputs = try random.floats([samples, 4, 8, 8], in: -2...2)
    var arrays = [(name: "x", tensor: inputs)]
    if isLabelled {
      arrays.append((name: "labels", tensor: try Tensor.int64s((0..<samples).map { _ in random.int(0...7) })))
    }
    try NPZFile.write(arrays, to: data)
  }
}
