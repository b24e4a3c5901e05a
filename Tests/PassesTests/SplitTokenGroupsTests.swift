import BinaryIO
import GraphIR
import Runtime
import TestSupport
import Testing

@testable import Passes

@Suite("SplitTokenGroups")
struct SplitTokenGroupsTests {
  private static let width = 16

  /// Two matrix products that read the same tokens.
  private func network() throws -> Graph {
    var random = SplitMix64(seed: 3)
    let weights = try random.floats([5, Self.width])
    var graph = try GraphParser.parse(
      """
      graph @net {
        input %x: f32[batch, 12, \(Self.width)]
        const %w: f32[5, \(Self.width)] = external
        const %b: f32[5] = [1, 2, 3, 4, 5]
        %y: f32[batch, 12, 5] = gemm(%x, %w, %b) {trans_b = 1}
        %z: f32[batch, 12, 5] = gemm(%x, %w) {trans_b = 1, activation = "relu"}
        output %y
        output %z
      }
      """,
      constant: { _, _ in weights }
    )
    try TypeInference.infer(&graph)
    return graph
  }

  /// Tokens of which some have values 300 times the usual ones.
  private func tokens(loud: Range<Int>) throws -> Tensor {
    var random = SplitMix64(seed: 4)
    let values = (0..<2 * 12 * Self.width).map { index in
      random.normal() * (loud.contains(index / Self.width % 12) ? 300 : 1)
    }
    return try Tensor.floats(values, [2, 12, Self.width])
  }

  private func split(_ graph: Graph, _ rows: Tensor, _ change: (inout PassContext) -> Void = { _ in }) throws
    -> Outcome
  {
    var sample = ActivationSample(width: Self.width)
    for number in 0..<2 { sample.observe(rows, number: number, limit: 64) }
    var context = PassContext()
    context.options.splitsTokens = true
    context.activations = [graph.inputs[0]: sample]
    change(&context)
    return try run(.splitTokenGroups, graph, context: context, isIdempotent: false)
  }

  @Test("all that reads the tokens is cut around the loud ones, and the function stays, bit by bit")
  func cut() throws {
    let rows = try tokens(loud: 1..<3)
    let graph = try network()
    let outcome = try split(graph, rows)
    let nodes = outcome.body.split(separator: "\n").map(String.init)
    for line in [
      "%x.first: f32[batch, 1, 16] = slice(%x) {starts = [0], ends = [1], axes = [1]}",
      "%x.loud: f32[batch, 2, 16] = slice(%x) {starts = [1], ends = [3], axes = [1]}",
      "%x.others: f32[batch, 9, 16] = slice(%x) {starts = [3], ends = [2147483647], axes = [1]}",
      "%y.first: f32[batch, 1, 5] = gemm(%x.first, %w, %b) {trans_b = 1}",
      "%y.loud: f32[batch, 2, 5] = gemm(%x.loud, %w, %b) {trans_b = 1}",
      "%y.others: f32[batch, 9, 5] = gemm(%x.others, %w, %b) {trans_b = 1}",
      "%y: f32[batch, 12, 5] = concat(%y.first, %y.loud, %y.others) {axis = 1}",
      "%z.loud: f32[batch, 2, 5] = gemm(%x.loud, %w) {trans_b = 1, activation = \"relu\"}",
      "%z: f32[batch, 12, 5] = concat(%z.first, %z.loud, %z.others) {axis = 1}",
    ] {
      #expect(nodes.contains(line))
    }
    #expect(nodes.count == 13)
    #expect(outcome.remarks.first?.text.hasPrefix("tokens 1 to 2 have a range of their own") == true)
    let (found, wanted) = (try Session(outcome.graph).run(["x": rows]), try Session(graph).run(["x": rows]))
    for name in ["y", "z"] {
      let (a, b) = (try #require(found[name]), try #require(wanted[name]))
      #expect(a.elements(as: Float.self) == b.elements(as: Float.self))
    }
  }

  @Test("even tokens, loud ones further back, dynamic ranges, kept layers and missing samples keep it away")
  func kept() throws {
    let graph = try network()
    #expect(try !split(graph, try tokens(loud: 0..<0)).changed)
    #expect(try !split(graph, try tokens(loud: 11..<12)).changed)
    let rows = try tokens(loud: 0..<1)
    #expect(try split(graph, rows).operators.count { $0 == "slice" } == 2)
    #expect(try !split(graph, rows) { $0.options.activations = .dynamic }.changed)
    #expect(
      try !split(graph, rows) { context in for id in graph.order { context.kept[id] = .float32 } }.changed
    )
    #expect(try !split(graph, rows) { $0.activations = [:] }.changed)
  }
}
