import BinaryIO
import GraphIR
import Quantization
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

  /// The operators after quantization, with ranges as calibrating the whole network observes them.
  private func quantized(
    keeping results: [String],
    _ format: FloatFormat = .float32,
    _ options: PassOptions = PassOptions()
  ) throws -> Outcome {
    var graph = try parse(Self.text)
    var ranges = ActivationRanges()
    for value in QuantizationTargets.activationValues(graph) {
      try ranges.set(.init(name: graph[value].name, low: 0, high: 255, samples: 1))
    }
    var context = PassContext(options: options, ranges: ranges)
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

  @Test("a weight that a kept layer shares with another one is not quantized for either")
  func mixed() throws {
    let outcome = try quantized(keeping: ["b"])
    #expect(outcome.graph.value(named: "v").map { outcome.graph[$0].type.dtype } == .float32)
  }
}
