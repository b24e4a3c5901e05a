import BinaryIO
import GraphIR
import Quantization
import Runtime
import TestSupport
import Testing

@testable import Passes

private let unit = "strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]"

@Suite("EqualizeChannels")
struct EqualizeChannelsTests {
  private let context = PassContext(options: PassOptions(equalizes: true))

  private func chain(_ activation: String) -> String {
    """
    graph @net {
      input %x: f32[1, 2, 2, 2]
      const %w1: f32[2, 2, 1, 1] = [8, -4, 0.5, 0.25]
      const %b1: f32[2] = [4, -1]
      const %w2: f32[2, 1, 1, 1] = [0.5, 8]
      const %b2: f32[2] = [1, 1]
      const %w3: f32[1, 2, 1, 1] = [2, -2]
      %a: f32[1, 2, 2, 2] = conv(%x, %w1, %b1) {\(unit), activation = \(activation)}
      %d: f32[1, 2, 2, 2] = conv(%a, %w2, %b2) {\(unit), group = 2, activation = \(activation)}
      %y: f32[1, 1, 2, 2] = conv(%d, %w3) {\(unit)}
      output %y
    }
    """
  }

  private func output(_ graph: Graph) throws -> [Float] {
    let input = try Tensor.floats([1, -2, 3, 0.5, -1, 4, 2, -0.25], [1, 2, 2, 2])
    let session = try Session(graph, options: SessionOptions(executor: .reference))
    return try #require(try session.run(["x": input])["y"]).elements(as: Float.self)
  }

  @Test("channels of expand, depthwise and project get equal ranges, and the function stays")
  func depthwise() throws {
    let text = chain("\"relu\"")
    let outcome = try run(.equalizeChannels, text, context: context)
    #expect(outcome.changed)
    let first = try #require(outcome.floats("w1"))
    let second = try #require(outcome.floats("w2"))
    let third = try #require(outcome.floats("w3"))
    for channel in 0..<2 {
      let ranges = [
        max(abs(first[2 * channel]), abs(first[2 * channel + 1])), second[channel], abs(third[channel]),
      ]
      #expect((ranges.max() ?? 0) < 1.1 * (ranges.min() ?? 0))
    }
    for (found, expected) in zip(try output(outcome.graph), try output(parse(text))) {
      #expect(abs(found - expected) <= 1e-4 * max(1, abs(expected)))
    }
  }

  @Test("other activations, other users and the option keep it away")
  func kept() throws {
    #expect(try !run(.equalizeChannels, chain("\"relu\"")).changed)
    #expect(
      try !run(.equalizeChannels, chain("\"clip\", activation_params = [0, 6]"), context: context).changed
    )
    let shared = chain("\"relu\"").replacing("  output %y", with: "  output %y\n  output %a\n  output %d")
    #expect(try !run(.equalizeChannels, shared, context: context).changed)
  }
}

@Suite("RoundWeights and CorrectBias")
struct RecoveryPassTests {
  /// A quantized matrix product of sixteen inputs and eight outputs, from random weights.
  private func quantized(_ weights: [Float]) throws -> (float: Graph, graph: Graph) {
    let values = weights.map { "\($0)" }.joined(separator: ", ")
    let float = try parse(
      """
      graph @net {
        input %x: f32[1, 16]
        const %w: f32[8, 16] = [\(values)]
        const %b: f32[8] = [0.5, -0.25, 1, 0, 2, -1, 0.75, 0]
        %y: f32[1, 8] = gemm(%x, %w, %b) {trans_b = 1}
        output %y
      }
      """
    )
    var ranges = ActivationRanges()
    try ranges.set(.init(name: "x", low: 0, high: 4, samples: 1))
    var context = PassContext(ranges: ranges)
    var graph = float
    try PassManager().run(Pipelines.quantize(context.options), on: &graph, &context)
    return (float, graph)
  }

  /// Inputs that hang together, as the quantized layer reads them; the float one read 1 % more.
  private func evidence(_ float: Graph, _ layer: QuantizedLayer, _ random: inout SplitMix64) throws
    -> LayerEvidence
  {
    let count = 504
    let params = try QuantParams(scale: 4 / 255, zeroPoint: 0, dtype: .uint8)
    var rows: [[UInt8]] = []
    for _ in 0..<count {
      let common = random.float(0...3)
      rows.append((0..<16).map { _ in UInt8(params.quantize(common + random.float(0...0.5))) })
    }
    var table = PatchTable(groups: 1, length: 16, capacity: count, params: params)
    unsafe table.add(count) { (target, _) in
      for term in 0..<16 {
        for patch in 0..<count { unsafe target[term * count + patch] = rows[patch][term] }
      }
    }
    let means = (0..<16).map { term in
      rows.reduce(0) { $0 + Double(params.dequantize(Int($1[term]))) } / Double(count)
    }
    let pair = PatchMeans(quantized: means, float: means.map { $0 * 1.01 }, length: 16)
    return try #require(layer.evidence(from: float, pair, table))
  }

  private func deviation(_ layer: QuantizedLayer, _ evidence: LayerEvidence, _ graph: Graph) throws -> Double
  {
    let bias = layer.correctedBias(evidence, graph)
    let stored = try #require(graph.producer(of: graph[layer.id].inputs[2])?.node.inputs[0])
    let integers = try #require(graph.constant(stored)).elements(as: Int32.self)
    let scales = layer.scales(graph).map { Double($0) * 4 / 255 }
    return zip(bias, zip(integers, scales)).reduce(0) { worst, pair in
      max(worst, abs(Double(pair.0) - Double(pair.1.0) * pair.1.1))
    }
  }

  @Test("bias correction puts the means where they were, to a step of the accumulator")
  func bias() throws {
    var random = SplitMix64(seed: 21)
    let (float, graph) = try quantized((0..<128).map { _ in random.float() })
    let layer = try #require(QuantizedLayer.all(in: graph).first)
    var context = PassContext(options: PassOptions(correctsBias: true))
    let evidence = try evidence(float, layer, &random)
    context.evidence = [layer.id: evidence]
    #expect(try deviation(layer, evidence, graph) > 1e-3)
    let outcome = try run(.correctBias, graph, context: context)
    #expect(outcome.changed)
    #expect(try deviation(layer, evidence, outcome.graph) < 1e-4)
    #expect(outcome.remarks.map(\.text).allSatisfy { $0.hasPrefix("moved the bias by at most") })
    #expect(outcome.remarks.count == 1)
  }

  @Test(
    "compensated rounding changes integers, mends the means and says by how much",
    arguments: [
      WeightRounding.gptq, .adaround,
    ]
  )
  func rounding(kind: WeightRounding) throws {
    var random = SplitMix64(seed: 22)
    let (float, graph) = try quantized((0..<128).map { _ in random.float() })
    let layer = try #require(QuantizedLayer.all(in: graph).first)
    var context = PassContext(options: PassOptions(rounding: kind))
    let evidence = try evidence(float, layer, &random)
    context.evidence = [layer.id: evidence]
    let outcome = try run(.roundWeights, graph, context: context, isIdempotent: false)
    #expect(outcome.changed)
    #expect(layer.integers(outcome.graph) != layer.integers(graph))
    #expect(try deviation(layer, evidence.onQuantizedData, outcome.graph) < 1e-4)
    #expect(outcome.remarks.contains { $0.text.contains("dB lower on calibration data") })
  }

  @Test("without evidence, or with nearest rounding, nothing changes")
  func untouched() throws {
    let (float, graph) = try quantized([Float](repeating: 0.3, count: 128))
    let layer = try #require(QuantizedLayer.all(in: graph).first)
    var random = SplitMix64(seed: 23)
    #expect(try !run(.correctBias, graph).changed)
    #expect(
      try !run(.roundWeights, graph, context: PassContext(options: PassOptions(rounding: .gptq))).changed
    )
    var context = PassContext()
    context.evidence = [layer.id: try evidence(float, layer, &random)]
    #expect(try !run(.roundWeights, graph, context: context).changed)
  }
}

@Suite("ChannelMeans")
struct ChannelMeansTests {
  @Test("elements of a patch have the mean of their channel, less where they lie in the padding")
  func padding() throws {
    let float = try parse(
      """
      graph @net {
        input %x: f32[1, 2, 4, 4]
        const %w: f32[2, 1, 3, 3] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 8, 7, 6, 5, 4, 3, 2, 1]
        %y: f32[1, 2, 2, 2] = conv(%x, %w) {strides = [2, 2], pads = [1, 1, 0, 0], dilations = [1, 1], group = 2}
        output %y
      }
      """
    )
    #expect(ChannelMeans.targets(float).map(\.isLast) == [false])
    var ranges = ActivationRanges()
    try ranges.set(.init(name: "x", low: 0, high: 4, samples: 1))
    var context = PassContext(ranges: ranges)
    var graph = float
    try PassManager().run(Pipelines.quantize(context.options), on: &graph, &context)
    let evidence = ChannelMeans.evidence(of: graph, from: float, means: ["x": [2, -8]])
    let layer = try #require(QuantizedLayer.all(in: graph).first)
    let means = try #require(evidence[layer.id]).means
    let shares = [0.25, 0.5, 0.5, 0.5, 1, 1, 0.5, 1, 1]
    #expect(Array(means.quantized(0)) == shares.map { $0 * 2 })
    #expect(Array(means.float(1)) == shares.map { $0 * -8 })
    #expect(ChannelMeans.evidence(of: graph, from: float, means: ["x": [2]]).isEmpty)
    #expect(ChannelMeans.evidence(of: graph, from: float, means: [:]).isEmpty)
  }

  @Test(
    "with the means of channels, bias correction takes away what rounding weights adds to the means of outputs"
  )
  func correction() throws {
    var random = SplitMix64(seed: 77)
    let weights = (0..<64).map { _ in "\(random.float())" }.joined(separator: ", ")
    let float = try parse(
      """
      graph @net {
        input %x: f32[1, 16]
        const %w: f32[4, 16] = [\(weights)]
        %y: f32[1, 4] = gemm(%x, %w) {trans_b = 1}
        output %y
      }
      """
    )
    var ranges = ActivationRanges()
    try ranges.set(.init(name: "x", low: 0, high: 4, samples: 1))
    var context = PassContext(options: PassOptions(granularity: .perTensor), ranges: ranges)
    var graph = float
    try PassManager().run(Pipelines.quantize(context.options), on: &graph, &context)
    let plain = graph
    let input = [Float](repeating: 4 * 100 / 255, count: 16)
    context.evidence = ChannelMeans.evidence(of: graph, from: float, means: ["x": input.map(Double.init)])
    try PassManager().run(Pipelines.correctMeans, on: &graph, &context)
    func output(_ graph: Graph) throws -> [Float] {
      let session = try Session(graph, options: SessionOptions(executor: .reference))
      let outputs = try session.run(["x": Tensor.floats(input, [1, 16])])
      return try #require(outputs["y"]).elements(as: Float.self)
    }
    let wanted = try output(float)
    func error(_ graph: Graph) throws -> Float {
      zip(try output(graph), wanted).reduce(0) { max($0, abs($1.0 - $1.1)) }
    }
    #expect(try error(plain) > 1e-2)
    #expect(try error(graph) < 1e-3)
  }
}
