import GraphIR
import Quantization
import Runtime
import TestSupport
import Testing

@testable import Passes

private let unit = "strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]"

/// A layer with a BatchNorm and a relu, and one behind it.
private let chain = """
  graph @net {
    input %x: f32[1, 2, 1, 1]
    const %w1: f32[2, 2, 1, 1] = [1, 0.5, -0.25, 1]
    const %gamma: f32[2] = [0.5, -2]
    const %beta: f32[2] = [4, 1]
    const %mean: f32[2] = [0.5, 0]
    const %var: f32[2] = [3, 0]
    const %w2: f32[2, 2, 1, 1] = [0.903, -0.377, 0.111, 0.7]
    const %b2: f32[2] = [1, -1]
    %1: f32[1, 2, 1, 1] = conv(%x, %w1) {\(unit)}
    %2: f32[1, 2, 1, 1] = batch_norm(%1, %gamma, %beta, %mean, %var) {epsilon = 1}
    %3: f32[1, 2, 1, 1] = relu(%2)
    %y: f32[1, 2, 1, 1] = conv(%3, %w2, %b2) {\(unit)}
    output %y
  }
  """

@Suite("ChannelStatistics")
struct ChannelStatisticsTests {
  @Test("a normal distribution behind an activation has the moments of the integral")
  func moments() {
    let normal = ChannelStatistics(means: [0, 10, 3], deviations: [1, 1, 2])
    let relu = normal.behind(.relu)
    #expect(abs(relu.means[0] - 0.398942) < 1e-3 && abs(relu.means[1] - 10) < 1e-3)
    #expect(abs(relu.deviations[0] - 0.583796) < 1e-2)
    #expect(normal.behind(.none) == normal)
    let clipped = normal.behind(.clip(min: 0, max: 6))
    #expect(abs(clipped.means[1] - 6) < 1e-3 && clipped.deviations[1] < 0.01)
    #expect(abs(clipped.means[2] - 3) < 1e-3)
  }

  @Test("folding a BatchNorm keeps what it tells, and sums of values add up")
  func folding() throws {
    var graph = try parse(chain)
    var context = PassContext()
    try PassManager().run(Pipelines.float, on: &graph, &context)
    let first = try #require(graph.order.first)
    #expect(context.normalized[first] == ChannelStatistics(means: [4, 1], deviations: [0.5, 2]))
    let read = try #require(graph[graph.order[1]].inputs[0])
    let found = try #require(ChannelStatistics(of: read, graph, outputs: context.normalized))
    #expect(abs(found.means[0] - 4) < 1e-3)
    let input = try #require(graph.inputs.first)
    #expect(ChannelStatistics(of: input, graph, outputs: context.normalized) == nil)
    let sum = try graph.addNode(.binary(Binary(.add)), inputs: [read, read], outputNames: ["sum"])
    let doubled = ChannelStatistics(of: graph[sum].outputs[0], graph, outputs: context.normalized)
    #expect(doubled?.means == found.means.map { 2 * $0 })
  }
}

@Suite("CorrectBiasFromStatistics and AbsorbBias")
struct StatisticsPassTests {
  private func prepared(_ options: PassOptions) throws -> (Graph, PassContext) {
    var graph = try parse(chain)
    var context = PassContext(options: options)
    try PassManager().run(Pipelines.float, on: &graph, &context)
    return (graph, context)
  }

  @Test("the bias moves by the rounding errors of the weights times the means of the data")
  func correction() throws {
    var options = PassOptions(granularity: .perTensor)
    options.correctsFromStatistics = true
    let (graph, context) = try prepared(options)
    let outcome = try run(.correctBiasFromStatistics, graph, context: context, isIdempotent: false)
    #expect(outcome.changed)
    let read = try #require(graph[graph.order[1]].inputs[0])
    let means = try #require(ChannelStatistics(of: read, graph, outputs: context.normalized)).means
    let weights = try #require(outcome.floats("w2")).map(Double.init)
    let scale = Double(Float(0.903) / 127)
    let errors = weights.map { $0 - ($0 / scale).rounded() * scale }
    let bias = try #require(outcome.floats("b2"))
    for (channel, before) in [1.0, -1.0].enumerated() {
      let expected = before + errors[2 * channel] * means[0] + errors[2 * channel + 1] * means[1]
      #expect(abs(Double(bias[channel]) - expected) < 1e-6)
    }
    #expect(outcome.remarks.count == 1)
  }

  @Test("without the option, or without BatchNorm, biases stay")
  func untouched() throws {
    let (graph, context) = try prepared(PassOptions())
    #expect(try !run(.correctBiasFromStatistics, graph, context: context).changed)
    var options = PassOptions()
    options.correctsFromStatistics = true
    #expect(try !run(.correctBiasFromStatistics, graph, context: PassContext(options: options)).changed)
  }

  @Test("what a channel always has moves into the next bias, and the function stays where it is exceeded")
  func absorption() throws {
    let (plain, _) = try prepared(PassOptions())
    let (graph, context) = try prepared(PassOptions())
    var equalizing = context
    equalizing.options.equalizes = true
    let outcome = try run(.absorbBias, graph, context: equalizing, isIdempotent: false)
    #expect(outcome.changed)
    #expect(outcome.remarks.map(\.text) == ["1 channels lost what they always have"])
    let bias = try #require(graph[graph.order[0]].inputs[2].flatMap { graph.constant($0) })
    let moved = try #require(outcome.graph.constant(outcome.graph[outcome.graph.order[0]].inputs[2]))
    #expect(moved.elements(as: Float.self)[0] == bias.elements(as: Float.self)[0] - 2.5)
    func output(_ graph: Graph, _ values: [Float]) throws -> [Float] {
      let session = try Session(graph, options: SessionOptions(executor: .reference))
      return try #require(session.run(["x": Tensor.floats(values, [1, 2, 1, 1])])["y"]).elements(
        as: Float.self
      )
    }
    for values in [[Float(0.5), 0.25], [-1, 3], [2, -2]] {
      for (a, b) in zip(try output(plain, values), try output(outcome.graph, values)) {
        #expect(abs(a - b) < 1e-5)
      }
    }
    #expect(try !run(.absorbBias, graph, context: context).changed)
    equalizing.normalized = [:]
    #expect(try !run(.absorbBias, graph, context: equalizing).changed)
  }
}
