import BinaryIO
import GraphIR
import Quantization
import Runtime
import TestSupport
import Testing

@testable import Passes

@Suite("RoundBlocks")
struct RoundBlocksTests {
  private static let width = 40

  /// A gemm or a matmul of 40 columns with two blocks each, the second one ragged.
  private func network(_ product: String) throws -> Graph {
    var random = SplitMix64(seed: 3)
    let weights = try Tensor.floats((0..<Self.width * 6).map { _ in random.normal() }, [Self.width, 6])
    var graph = try GraphParser.parse(
      """
      graph @net {
        input %x: f32[batch, \(Self.width)]
        const %w: f32[\(Self.width), 6] = external
        const %b: f32[6] = [1, 2, 3, 4, 5, 6]
        %y: f32[batch, 6] = \(product)
        output %y
      }
      """,
      constant: { _, _ in weights }
    )
    try TypeInference.infer(&graph)
    return graph
  }

  /// Rows whose columns share a part.
  private func rows(seed: UInt64) throws -> Tensor {
    var random = SplitMix64(seed: seed)
    let values = (0..<128).flatMap { _ in
      let common = random.normal() + 1
      return (0..<Self.width).map { _ in common + random.normal() * 0.4 }
    }
    return try Tensor.floats(values, [128, Self.width])
  }

  private func quantized(_ float: Graph) throws -> Graph {
    try run(.quantizeBlocks, float, context: PassContext(options: PassOptions(scheme: .weightOnly))).graph
  }

  private func rounded(_ float: Graph, _ graph: Graph) throws -> Outcome {
    var context = PassContext(options: PassOptions(scheme: .weightOnly, rounding: .gptq))
    for id in graph.order {
      guard var evidence = BlockEvidence(graph, id, from: float) else { continue }
      let seen = try rows(seed: 4)
      unsafe seen.withElements(as: Float.self) { unsafe evidence.moments.add($0, rows: Array(0..<128)) }
      context.blockEvidence[id] = evidence
    }
    #expect(context.blockEvidence.count == 1)
    return try run(.roundBlocks, graph, context: context, isIdempotent: false)
  }

  /// Mean squared error of the outputs, and their mean error, on rows that were not calibrated on.
  private func error(_ graph: Graph, _ float: Graph) throws -> (square: Double, mean: Double) {
    func outputs(_ graph: Graph, _ rows: Tensor) throws -> [Float] {
      try #require(try Session(graph).run(["x": rows])["y"]).elements(as: Float.self)
    }
    let fresh = try rows(seed: 5)
    let differences = zip(try outputs(graph, fresh), try outputs(float, fresh)).map { Double($0 - $1) }
    let square = differences.reduce(0) { $0 + $1 * $1 } / Double(differences.count)
    return (square, differences.reduce(0, +) / Double(differences.count))
  }

  @Test("the error of the products falls on other rows, and its mean goes into the bias")
  func gemm() throws {
    let float = try network("gemm(%x, %w, %b)")
    let nearest = try quantized(float)
    let outcome = try rounded(float, nearest)
    #expect(outcome.operators == ["dequantize_blocks", "gemm"])
    #expect(try #require(outcome.floats("w.f32.bias")) != [1, 2, 3, 4, 5, 6])
    let (before, after) = (try error(nearest, float), try error(outcome.graph, float))
    #expect(after.square < 0.5 * before.square)
    #expect(abs(after.mean) < 0.02)
    #expect(outcome.remarks.first?.text.hasSuffix("dB lower on calibration data") == true)
  }

  @Test("a matmul has no bias to move the mean to, and gains all the same")
  func matMul() throws {
    let float = try network("matmul(%x, %w)")
    let nearest = try quantized(float)
    let outcome = try rounded(float, nearest)
    #expect(outcome.operators == ["dequantize_blocks", "matmul"])
    #expect(try error(outcome.graph, float).square < 0.5 * (try error(nearest, float).square))
  }

  @Test("nothing happens without evidence, and a weight with two users has none")
  func without() throws {
    let float = try network("gemm(%x, %w, %b)")
    #expect(try !run(.roundBlocks, try quantized(float)).changed)
    let shared = try graph(
      """
      graph @net {
        input %x: f32[n, 2]
        const %w: f32[2, 1] = [1, 2]
        %a: f32[n, 1] = matmul(%x, %w)
        %b: f32[n, 1] = gemm(%x, %w)
        output %a
        output %b
      }
      """
    )
    let stored = try quantized(shared)
    #expect(stored.order.compactMap { BlockEvidence(stored, $0, from: shared) }.isEmpty)
  }
}
