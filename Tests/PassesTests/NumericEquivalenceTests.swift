import BinaryIO
import GraphIR
import Quantization
import Runtime
import TestSupport
import Testing

@testable import Passes

/// Rewritten networks compute what they did before.
@Suite("Numeric equivalence")
struct NumericEquivalenceTests {
  static let seeds = [0, 1]

  @Test("the float pipeline changes results by rounding only", arguments: seeds)
  func floatPipeline(seed: Int) throws {
    var network = try RandomNetwork(seed: UInt64(seed))
    let before = network.graph
    var after = before
    var context = RandomNetwork.context()
    try PassManager().run(Pipelines.float, on: &after, &context)
    #expect(!after.order.contains { after[$0].op.name == "batch_norm" }, "seed \(seed)")
    let input = try network.random.floats([2, 3, 6, 6])
    let (expected, found) = (try outputs(before, input), try outputs(after, input))
    let scale = expected.map(abs).max() ?? 1
    #expect(zip(expected, found).allSatisfy { abs($0 - $1) <= 1e-5 * scale }, "seed \(seed)")
  }

  @Test("integers stay near the float results, and every linear operator is lowered", arguments: seeds)
  func integers(seed: Int) throws {
    var network = try RandomNetwork(seed: UInt64(seed))
    var float = network.graph
    for mode in ActivationMode.allCases {
      for granularity in WeightGranularity.allCases {
        var context = RandomNetwork.context(PassOptions(granularity: granularity, activations: mode))
        float = network.graph
        try PassManager().run(Pipelines.float, on: &float, &context)
        let samples = try (0..<3).map { _ in try network.random.floats([1, 3, 6, 6]) }
        context.ranges = try calibrate(float, samples)
        var integer = float
        try PassManager().run(Pipelines.quantize(context.options), on: &integer, &context)
        let steps = try Session(integer).program().steps
        #expect(steps.allSatisfy { $0.reason == nil }, "\(steps.compactMap(\.reason))")
        for sample in samples {
          let (expected, found) = (try outputs(float, sample), try outputs(integer, sample))
          #expect(cosine(expected, found) > 0.97, "seed \(seed), \(mode), \(granularity)")
        }
      }
    }
  }

  @Test("clamping ReLU6 by saturation gives the same bytes as keeping it", arguments: seeds)
  func relu6(seed: Int) throws {
    var network = try RandomNetwork(seed: UInt64(seed))
    let samples = try (0..<2).map { _ in try network.random.floats([1, 3, 6, 6]) }
    var results: [[[Float]]] = []
    for policy in [Relu6Policy.keep, .clamp] {
      var graph = network.graph
      var context = RandomNetwork.context(PassOptions(relu6: policy))
      try PassManager().run(Pipelines.float, on: &graph, &context)
      context.ranges = try calibrate(graph, samples)
      try PassManager().run(Pipelines.quantize(context.options), on: &graph, &context)
      let clips = graph.order.count { GraphPrinter.text($0, of: graph).contains("clip") }
      #expect((clips == 0) == (policy == .clamp))
      results.append(try samples.map { try outputs(graph, $0) })
    }
    #expect(results[0] == results[1])
  }

  private func outputs(_ graph: Graph, _ input: Tensor) throws -> [Float] {
    let session = try Session(graph, options: SessionOptions(executor: .reference))
    return try #require(try session.run(["x": input])["y"]).elements(as: Float.self)
  }

  private func calibrate(_ graph: Graph, _ samples: [Tensor]) throws -> ActivationRanges {
    let targets = QuantizationTargets.activationValues(graph)
    var observers = Dictionary(uniqueKeysWithValues: targets.map { ($0, ValueStatistics()) })
    let session = try Session(graph, options: SessionOptions(executor: .reference))
    for sample in samples {
      _ = try session.run(["x": sample], observing: targets) { (id, tensor) throws(Refusal) in
        observers[id]?.observe(tensor)
      }
    }
    var ranges = ActivationRanges()
    for target in targets {
      try ranges.set(graph[target].name, of: try #require(observers[target]), by: MinMaxObserver())
    }
    return ranges
  }

  private func cosine(_ a: [Float], _ b: [Float]) -> Double {
    func dot(_ a: [Float], _ b: [Float]) -> Double {
      zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
  }
}

/// A small network of what CNNs are made of, with random weights: BatchNorm, ReLU6, depthwise and grouped convolutions,
/// residual sums, squeeze-and-excitation with a scattered hard-sigmoid, concatenation, pools and a gemm.
private struct RandomNetwork {
  var graph = Graph(name: "random")
  var random: SplitMix64
  private var count = 0

  static func context(_ options: PassOptions = PassOptions()) -> PassContext {
    PassContext(options: options) { (op, inputs) throws(Refusal) in
      try Reference.evaluate(op: op, inputs: inputs)
    }
  }

  init(seed: UInt64) throws {
    random = SplitMix64(seed: seed)
    let x = graph.addInput("x", TensorType(.float32, [.symbol("n"), 3, 6, 6]))
    let stem = try relu6(norm(conv(pad(x), 3, 8, kernel: 3, pad: 0), 8))
    let wide = try relu6(norm(conv(stem, 8, 16, kernel: 1, pad: 0), 16))
    let deep = try relu6(norm(conv(wide, 16, 16, kernel: 3, pad: 1, group: 16), 16))
    let gated = try excited(deep, 16)
    let thin = try norm(conv(gated, 16, 8, kernel: 1, pad: 0), 8)
    let sum = try add(thin, stem)
    let left = try unary(.relu, norm(conv(sum, 8, 4, kernel: 1, pad: 0, group: 2), 4))
    let right = try unary(.silu, conv(sum, 8, 4, kernel: 3, pad: 1))
    let joined = try node(.concat(Concat(axis: 1)), [left, right])
    let pooled = try node(
      .maxPool(MaxPool(kernel: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0], dilations: [1, 1])),
      [joined]
    )
    let mean = try node(.reduce(Reduce(.mean, axes: [2, 3], keepDims: false)), [pooled])
    let y = try node(
      .gemm(Gemm(transB: true)),
      [mean, constant([5, 8], in: -1...1), constant([5], in: -1...1)],
      name: "y"
    )
    graph.addOutput(y)
  }

  private mutating func node(_ op: Op, _ inputs: [ValueID], name: String? = nil) throws -> ValueID {
    count += 1
    let id = try graph.addNode(op, inputs: inputs, outputNames: [name ?? "v\(count)"])
    return graph[id].outputs[0]
  }

  private mutating func constant(_ shape: [Int], in range: ClosedRange<Float>) throws -> ValueID {
    count += 1
    return graph.addConstant("c\(count)", try random.floats(shape, in: range))
  }

  private mutating func conv(
    _ x: ValueID,
    _ inputs: Int,
    _ outputs: Int,
    kernel: Int,
    pad: Int,
    group: Int = 1
  ) throws -> ValueID {
    let fan = Float(inputs / group * kernel * kernel)
    let bound = (6 / fan).squareRoot()
    let weight = try constant([outputs, inputs / group, kernel, kernel], in: -bound...bound)
    let bias = random.bool() ? [try constant([outputs], in: -0.5...0.5)] : []
    let op = Conv(strides: [1, 1], pads: [pad, pad, pad, pad], dilations: [1, 1], group: group)
    return try node(.conv(op), [x, weight] + bias)
  }

  private mutating func norm(_ x: ValueID, _ channels: Int) throws -> ValueID {
    let parameters = [
      try constant([channels], in: 0.5...2), try constant([channels], in: -1...1),
      try constant([channels], in: -0.5...0.5), try constant([channels], in: 0.2...1.5),
    ]
    return try node(.batchNorm(BatchNorm()), [x] + parameters)
  }

  private mutating func relu6(_ x: ValueID) throws -> ValueID { try node(.clip(Clip(min: 0, max: 6)), [x]) }

  private mutating func unary(_ kind: Unary.Kind, _ x: ValueID) throws -> ValueID {
    try node(.unary(Unary(kind)), [x])
  }

  private mutating func pad(_ x: ValueID) throws -> ValueID {
    try node(.pad(Pad(pads: [0, 0, 1, 1, 0, 0, 1, 1])), [x])
  }

  private mutating func add(_ a: ValueID, _ b: ValueID) throws -> ValueID {
    try node(.binary(Binary(.add)), [a, b])
  }

  private mutating func excited(_ x: ValueID, _ channels: Int) throws -> ValueID {
    let pooled = try node(.globalPool(GlobalPool(.average)), [x])
    let gate = try conv(pooled, channels, channels, kernel: 1, pad: 0)
    let three = graph.addConstant("three", try Tensor.floats([3], []))
    let six = graph.addConstant("six", try Tensor.floats([6], []))
    let shifted = try node(.binary(Binary(.add)), [gate, three])
    let clipped = try relu6(shifted)
    let sigmoid = try node(.binary(Binary(.div)), [clipped, six])
    return try node(.binary(Binary(.mul)), [x, sigmoid])
  }
}
