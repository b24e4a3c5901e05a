import BinaryIO
import GraphIR
import Quantization
import Runtime
import Testing

@testable import Passes

private let conv = "{strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}"

@Suite("KeptLayers")
struct KeptLayersTests {
  /// Two convolutions with pooling between, and a third that shares the weight of the second.
  private static let text = """
    graph @net {
      input %x: f32[1, 1, 4, 4]
      const %w: f32[1, 1, 1, 1] = [5]
      const %v: f32[1, 1, 1, 1] = [3]
      %a: f32[1, 1, 4, 4] = conv(%x, %w) \(conv)
      %p: f32[1, 1, 2, 2] = max_pool(%a) {kernel = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0], dilations = [1, 1]}
      %b: f32[1, 1, 2, 2] = conv(%p, %v) \(conv)
      %c: f32[1, 1, 2, 2] = conv(%b, %v) \(conv)
      output %c
    }
    """

  private func node(_ result: String, _ graph: Graph) throws -> NodeID {
    try #require(graph.value(named: result).flatMap { graph[$0].producer })
  }

  private func ranges(_ graph: Graph) throws -> ActivationRanges {
    var ranges = ActivationRanges()
    for value in QuantizationTargets.activationValues(graph) {
      try ranges.set(.init(name: graph[value].name, low: 0, high: 255, samples: 1))
    }
    return ranges
  }

  /// The operators after quantization, with ranges as calibrating the whole network observes them.
  private func quantized(
    _ text: String = Self.text,
    keeping results: [String],
    _ format: FloatFormat = .float32,
    _ options: PassOptions = PassOptions()
  ) throws -> Outcome {
    var graph = try parse(text)
    var context = PassContext(options: options, ranges: try ranges(graph))
    for name in results { context.kept[try node(name, graph)] = format }
    try PassManager().run(Pipelines.quantize(options), on: &graph, &context)
    return Outcome(graph: graph, changed: true, remarks: context.remarks)
  }

  @Test("the layers are the weights, each with all nodes that multiply by it")
  func layers() throws {
    let graph = try parse(Self.text)
    let layers = QuantizableLayer.all(in: graph, PassOptions())
    #expect(layers.map(\.name) == ["a", "b"])
    #expect(layers.map(\.weightName) == ["w", "v"])
    #expect(layers[1].nodes == [try node("b", graph), try node("c", graph)])
    #expect(layers.map(\.products) == [16, 8])
  }

  @Test("whoever keeps a layer keeps those that share its weight")
  func closure() throws {
    let graph = try parse(Self.text)
    let (b, c) = (try node("b", graph), try node("c", graph))
    #expect(QuantizationTargets.closure(of: [c], in: graph) == [c, b])
    let pool = try node("p", graph)
    #expect(QuantizationTargets.closure(of: [pool], in: graph) == [pool])
  }

  @Test("a kept layer computes in float from float data, and its weight stays as it was")
  func first() throws {
    let outcome = try quantized(keeping: ["a"])
    #expect(outcome.body.contains("%a: f32[1, 1, 4, 4] = conv(%x, %w) \(conv)"))
    #expect(outcome.graph.value(named: "w").map { outcome.graph[$0].type.dtype } == .float32)
    #expect(outcome.graph.value(named: "v").map { outcome.graph[$0].type.dtype } == .int8)
    #expect(outcome.remarks.contains { $0.text == "it is kept in float" })
  }

  @Test("a value that shared a range while all was quantized keeps that range on its own")
  func sharedRange() throws {
    let graph = try parse(Self.text)
    #expect(QuantizationTargets.activationValues(graph).map { graph[$0].name } == ["x", "a", "b"])
    let outcome = try quantized(keeping: ["a"])
    #expect(outcome.floats("p.scale") == [1])
    #expect(!outcome.body.contains("%a.q"))
  }

  @Test("an operator that is no layer can be kept, too")
  func pool() throws {
    let outcome = try quantized(keeping: ["p"])
    #expect(outcome.body.contains("= max_pool(%a) "))
    #expect(outcome.floats("p.scale") == [1])
  }

  @Test("dynamic quantization leaves kept layers alone")
  func dynamic() throws {
    let outcome = try quantized(keeping: ["b", "c"], .float32, PassOptions(activations: .dynamic))
    #expect(outcome.operators.filter { $0 == "dynamic_quantize" }.count == 1)
    #expect(outcome.body.contains("%c: f32[1, 1, 2, 2] = conv(%b, %v) \(conv)"))
  }

  @Test("weights of layers kept as f16 are stored so, beside static and dynamic int8")
  func half() throws {
    for mode in [ActivationMode.static, .dynamic] {
      let outcome = try quantized(keeping: ["b", "c"], .float16, PassOptions(activations: mode))
      #expect(outcome.graph.value(named: "v").map { outcome.graph[$0].type.dtype } == .float16)
      #expect(outcome.graph.value(named: "w").map { outcome.graph[$0].type.dtype } == .int8)
      #expect(outcome.operators.filter { $0 == "cast" }.count == 1)
    }
  }

  @Test("a layer kept with an i8 weight reads float data, beside static and dynamic int8")
  func bytes() throws {
    for mode in [ActivationMode.static, .dynamic] {
      let outcome = try quantized(keeping: ["b", "c"], .int8, PassOptions(activations: mode))
      #expect(outcome.graph.value(named: "v").map { outcome.graph[$0].type.dtype } == .int8)
      #expect(outcome.body.contains("= conv(%p, %v.dq) \(conv)"))
      #expect(outcome.body.contains("= conv(%b, %v.dq) \(conv)"))
      #expect(outcome.body.contains("= conv(%x.dq, %w.dq) \(conv)"))
    }
  }

  @Test("it reads the float value even where integer operators read the same one in 8 bits")
  func sharedValue() throws {
    let text = """
      graph @net {
        input %x: f32[1, 1, 4, 4]
        const %w: f32[1, 1, 1, 1] = [127]
        const %v: f32[1, 1, 1, 1] = [127]
        const %u: f32[1, 1, 1, 1] = [127]
        %a: f32[1, 1, 4, 4] = conv(%x, %w) \(conv)
        %b: f32[1, 1, 4, 4] = conv(%a, %v) \(conv)
        %c: f32[1, 1, 4, 4] = conv(%a, %u) \(conv)
        output %a
        output %b
        output %c
      }
      """
    for format in [FloatFormat.int8, .float16] {
      let outcome = try quantized(text, keeping: ["b"], format)
      #expect(outcome.body.contains(#/%a.float: .* = conv\(%x.dq, %w.dq\)/#))
      #expect(outcome.body.contains(#/= conv\(%a.float, %v/#))
      #expect(outcome.body.contains(#/= conv\(%a, %u.dq\)/#))
      // Whole numbers throughout, so that the float product is exact, and beyond the range of the 8 bits.
      let input = try Tensor.floats((0..<16).map { Float($0 * 3) }, [1, 1, 4, 4])
      func outputs(_ executor: SessionOptions.ExecutorKind) throws -> [String: Tensor] {
        try Session(outcome.graph, options: SessionOptions(executor: executor)).run(["x": input])
      }
      let (planned, expected) = (try outputs(.plan), try outputs(.reference))
      for name in ["a", "b", "c"] {
        #expect(planned[name]?.elements(as: Float.self) == expected[name]?.elements(as: Float.self))
      }
      let product = input.elements(as: Float.self).map { $0 * 127 * 127 }
      #expect(planned["b"]?.elements(as: Float.self) == product)
    }
  }

  @Test("what the layers read can be quantized alone, as the whole does it")
  func activations() throws {
    for mode in [ActivationMode.static, .dynamic] {
      var graph = try parse(Self.text)
      var context = PassContext(options: PassOptions(activations: mode), ranges: try ranges(graph))
      context.kept = [try node("b", graph): .float32, try node("c", graph): .float32]
      try PassManager().run(Pipelines.quantizeActivations(mode), on: &graph, &context)
      let outcome = Outcome(graph: graph, changed: true, remarks: context.remarks)
      #expect(outcome.body.contains("= conv(%x.dq, %w) \(conv)"))
      #expect(outcome.body.contains("= conv(%p, %v) \(conv)"))
    }
  }

  @Test("means of channels correct the f32 bias of a layer that is kept with an i8 weight")
  func correction() throws {
    let float = try parse(
      """
      graph @net {
        input %x: f32[1, 2, 1, 1]
        const %w: f32[1, 2, 1, 1] = [127, 0.4]
        const %b: f32[1] = [1]
        %y: f32[1, 1, 1, 1] = conv(%x, %w, %b) \(conv)
        output %y
      }
      """
    )
    var graph = float
    var context = PassContext(ranges: ActivationRanges())
    context.kept = [try node("y", graph): .int8]
    try PassManager().run(Pipelines.quantize(context.options), on: &graph, &context)
    context.evidence = ChannelMeans.evidence(of: graph, from: float, means: ["x": [3, 10]])
    try PassManager().run(Pipelines.correctMeans, on: &graph, &context)
    let bias = try #require(graph.value(named: "b"))
    #expect(graph[bias].constant?.elements(as: Float.self) == [1 + 0.4 * 10])
    #expect(context.remarks.contains { $0.pass == "correct-bias" && $0.kind == .applied })
  }

  @Test("a weight that a kept layer shares with another one is not quantized for either")
  func mixed() throws {
    let outcome = try quantized(keeping: ["b"])
    #expect(outcome.graph.value(named: "v").map { outcome.graph[$0].type.dtype } == .float32)
  }
}
