import BinaryIO
import GraphIR
import Runtime
import TestSupport
import Testing

@testable import Passes

@Suite("SplitOutlierColumns")
struct SplitOutlierColumnsTests {
  private static let width = 200

  /// A matrix product of 200 columns.
  private func network(_ activation: String = "") throws -> Graph {
    var random = SplitMix64(seed: 3)
    let weights = try random.floats([5, Self.width])
    var graph = try GraphParser.parse(
      """
      graph @net {
        input %x: f32[batch, \(Self.width)]
        const %w: f32[5, \(Self.width)] = external
        const %b: f32[5] = [1, 2, 3, 4, 5]
        %y: f32[batch, 5] = gemm(%x, %w, %b) {trans_b = 1\(activation)}
        output %y
      }
      """,
      constant: { _, _ in weights }
    )
    try TypeInference.infer(&graph)
    return graph
  }

  private func rows(loud: [Int]) throws -> Tensor {
    var random = SplitMix64(seed: 4)
    var values = (0..<32 * Self.width).map { _ in random.float() }
    for row in 0..<4 { for column in loud { values[row * Self.width + column] *= 300 } }
    return try Tensor.floats(values, [32, Self.width])
  }

  private func split(_ graph: Graph, _ rows: Tensor) throws -> Outcome {
    var sample = ActivationSample(width: Self.width)
    sample.observe(rows, number: 0, limit: 64)
    var context = PassContext()
    context.options.splitsOutliers = true
    context.activations = [graph.inputs[0]: sample]
    return try run(.splitOutlierColumns, graph, context: context, isIdempotent: false)
  }

  private func output(_ graph: Graph, _ rows: Tensor) throws -> [Float] {
    try #require(try Session(graph).run(["x": rows])["y"]).elements(as: Float.self)
  }

  @Test("loud columns are computed beside, at most one in a hundred, and the function stays")
  func columns() throws {
    let rows = try rows(loud: [7, 90, 150])
    let graph = try network()
    let outcome = try split(graph, rows)
    #expect(
      outcome.body == """
        %y.rest: f32[batch, 200] = mul(%x, %y.mask)
        %y.main: f32[batch, 5] = gemm(%y.rest, %w, %b) {trans_b = 1}
        %y.loud: f32[batch, 2] = gather(%x, %y.columns) {axis = -1}
        %y.side: f32[batch, 5] = gemm(%y.loud, %y.loud_weight) {trans_b = 1}
        %y: f32[batch, 5] = add(%y.main, %y.side)
        output %y
        """
    )
    #expect(outcome.remarks.first?.text.hasPrefix("columns ") == true)
    for (found, expected) in zip(try output(outcome.graph, rows), try output(graph, rows)) {
      #expect(abs(found - expected) <= 1e-4 * max(1, abs(expected)))
    }
  }

  @Test("even columns, activations and missing samples keep it away")
  func kept() throws {
    #expect(try !split(try network(), try rows(loud: [])).changed)
    #expect(try !split(try network(", activation = \"relu\""), try rows(loud: [7])).changed)
    var context = PassContext()
    context.options.splitsOutliers = true
    #expect(try !run(.splitOutlierColumns, try network(), context: context).changed)
  }
}
