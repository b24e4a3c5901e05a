import BinaryIO
import GraphIR
import Runtime
import TestSupport
import Testing

@testable import Passes

@Suite("FoldAttentionScale")
struct FoldAttentionScaleTests {
  /// Attention of one head, two channels each for query, key and value.
  private func attention(_ query: String = "%q", scores: String = "%scores", extra: String = "") -> String {
    """
    graph @net {
      input %x: f32[1, 3, 2]
      const %w: f32[6, 2] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
      const %b: f32[6] = [1, 2, 3, 4, 5, 6]
      const %half: f32[] = 0.5
      const %vector: f32[3] = [1, 2, 3]
      %qkv: f32[1, 3, 6] = gemm(%x, %w, %b) {trans_b = 1}
      %split: f32[1, 3, 3, 2] = reshape(%qkv) {shape = [0, 0, 3, 2]}
      %turned: f32[3, 1, 3, 2] = transpose(%split) {perm = [2, 0, 1, 3]}
      %q3: f32[1, 1, 3, 2], %k3: f32[1, 1, 3, 2], %v3: f32[1, 1, 3, 2] = split(%turned) {sizes = [1, 1, 1]}
      %q: f32[1, 3, 2] = squeeze(%q3) {axes = [0]}
      %k: f32[1, 3, 2] = squeeze(%k3) {axes = [0]}
      %v: f32[1, 3, 2] = squeeze(%v3) {axes = [0]}
      %kt: f32[1, 2, 3] = transpose(%k) {perm = [0, 2, 1]}
      %qs: f32[1, 3, 2] = mul(%q, %half)
      %scores: f32[1, 3, 3] = matmul(\(query), %kt)
      %ss: f32[1, 3, 3] = div(%scores, %half)
      %p: f32[1, 3, 3] = softmax(\(scores)) {axis = -1}
      %y: f32[1, 3, 2] = matmul(%p, %v)
      \(extra)
      output %y
    }
    """
  }

  private func output(_ graph: Graph) throws -> [Float] {
    let input = try Tensor.floats([0.1, -0.2, 0.3, 0.05, -0.1, 0.4], [1, 3, 2])
    let session = try Session(graph, options: SessionOptions(executor: .reference))
    return try #require(try session.run(["x": input])["y"]).elements(as: Float.self)
  }

  private func expectSame(_ outcome: Outcome, _ text: String) throws {
    for (found, expected) in zip(try output(outcome.graph), try output(parse(text))) {
      #expect(abs(found - expected) <= 1e-5 * max(1, abs(expected)))
    }
  }

  @Test("a factor of the queries goes into their weights and biases")
  func queries() throws {
    let text = attention("%qs")
    let outcome = try run(.foldAttentionScale, text)
    #expect(outcome.floats("w") == [0.5, 1, 1.5, 2, 5, 6, 7, 8, 9, 10, 11, 12])
    #expect(outcome.floats("qkv.bias") == [0.5, 1, 3, 4, 5, 6])
    #expect(outcome.body.contains("matmul(%qs, %kt)") && !outcome.operators.contains("mul"))
    #expect(outcome.graph.value(named: "q") == nil)
    try expectSame(outcome, text)
  }

  @Test("a factor of the scores goes into the queries, or the keys, or the values' path is left alone")
  func scores() throws {
    let text = attention(scores: "%ss")
    let outcome = try run(.foldAttentionScale, text)
    #expect(outcome.floats("w")?.suffix(4) == [9, 10, 11, 12])
    #expect(!outcome.operators.contains("div"))
    try expectSame(outcome, text)
  }

  @Test("channels that something else reads, and factors per token, stay")
  func kept() throws {
    let shared = attention("%qs", extra: "%z: f32[1, 3, 2] = neg(%q)\n  output %z")
    #expect(try !run(.foldAttentionScale, shared).changed)
    let vector = attention(scores: "%ss").replacing("div(%scores, %half)", with: "div(%scores, %vector)")
    #expect(try !run(.foldAttentionScale, vector).changed)
  }
}
