import BinaryIO
import GraphIR
import Runtime
import TestSupport
import Testing

@testable import Passes

@Suite("SmoothActivations")
struct SmoothActivationsTests {
  private let text = """
    graph @net {
      input %x: f32[1, 8, 4]
      const %gamma: f32[4] = [1, 50, 1, 1]
      const %beta: f32[4] = [0, 1, 0, 0]
      const %w: f32[3, 4] = [0.5, 0.01, 0.25, -0.75, 0.5, -0.02, 0.125, 1, -0.25, 0.01, 0.75, 0.5]
      %n: f32[1, 8, 4] = layer_norm(%x, %gamma, %beta)
      %y: f32[1, 8, 3] = gemm(%n, %w) {trans_b = 1}
      output %y
    }
    """

  private func input(_ shape: [Int]) throws -> Tensor {
    var random = SplitMix64(seed: 5)
    return try random.floats(shape)
  }

  private func run(_ graph: Graph, observing names: [String] = [], _ shape: [Int]) throws -> (
    output: [Float], samples: [ValueID: ActivationSample]
  ) {
    let session = try Session(graph, options: SessionOptions(executor: .reference))
    var samples: [ValueID: ActivationSample] = [:]
    let targets = names.compactMap { graph.value(named: $0) }
    let results = try session.run(["x": try input(shape)], observing: targets) { (id, tensor) in
      var sample = ActivationSample(width: tensor.shape.last ?? 1)
      sample.observe(tensor, number: 0, limit: 64)
      samples[id] = sample
    }
    return (try #require(results["y"]).elements(as: Float.self), samples)
  }

  private func smoothed(
    _ text: String,
    observing names: [String],
    exponent: Float? = nil,
    shape: [Int] = [1, 8, 4]
  ) throws -> Outcome {
    let graph = try parse(text)
    var context = PassContext()
    context.options.smooths = true
    context.options.smoothingExponent = exponent
    let before = try run(graph, observing: names, shape)
    context.activations = before.samples
    let outcome = try PassesTests.run(.smoothActivations, graph, context: context, isIdempotent: false)
    for (found, expected) in zip(try run(outcome.graph, shape).output, before.output) {
      #expect(abs(found - expected) <= 1e-4 * max(1, abs(expected)), "the function changed")
    }
    return outcome
  }

  @Test("normalisation takes the inverse of what the weights take")
  func normalization() throws {
    let outcome = try smoothed(text, observing: ["n"], exponent: 0.5)
    #expect(outcome.changed)
    #expect(outcome.body.contains("layer_norm(%x, %gamma.smooth, %beta.smooth)"))
    #expect(outcome.body.contains("gemm(%n.smooth, %w)"))
    let gamma = try #require(outcome.floats("gamma.smooth"))
    let weight = try #require(outcome.floats("w"))
    #expect(abs(gamma[1] / 50 * (weight[1] / 0.01) - 1) < 1e-5)
    #expect(weight[1] > 0.1 && gamma[1] < 5)
    let beta = try #require(outcome.floats("beta.smooth"))
    #expect(abs(beta[1] - gamma[1] / 50) < 1e-6)
  }

  @Test("the exponent is searched for, and the remark tells the errors")
  func search() throws {
    let outcome = try smoothed(text, observing: ["n"])
    #expect(outcome.changed)
    let remark = try #require(outcome.remarks.first?.text)
    #expect(remark.hasPrefix("alpha 0.") && remark.contains("the error of what reads it is -"))
  }

  @Test("even channels are left alone, and so are layers without samples")
  func off() throws {
    let even = text.replacing("50", with: "1").replacing("0.01", with: "0.6").replacing("0.02", with: "0.7")
    let outcome = try smoothed(even, observing: ["n"])
    #expect(!outcome.changed || outcome.remarks.allSatisfy { $0.kind == .applied })
    #expect(try !smoothed(text, observing: []).changed)
  }

  @Test("a normalisation that something else reads is copied")
  func copied() throws {
    let residual = text.replacing("output %y", with: "%z: f32[1, 8, 4] = relu(%n)\n  output %y\n  output %z")
    let outcome = try smoothed(residual, observing: ["n"], exponent: 0.5)
    #expect(outcome.operators.count { $0 == "layer_norm" } == 2)
    #expect(outcome.body.contains("relu(%n)") && outcome.body.contains("gemm(%n.smooth, %w)"))
    #expect(outcome.floats("gamma") == [1, 50, 1, 1])
  }

  @Test("values of attention and the projection behind it share factors, head by head")
  func values() throws {
    var random = SplitMix64(seed: 9)
    func list(_ count: Int, _ factor: (Int) -> Float) -> String {
      (0..<count).map { "\(random.float() * factor($0))" }.joined(separator: ", ")
    }
    // Row 9 of the weight, channel 1 of the values' first head, is loud.
    let text = """
      graph @net {
        input %x: f32[1, 8, 4]
        const %w: f32[12, 4] = [\(list(48) { $0 / 4 == 9 ? 80 : 1 })]
        const %b: f32[12] = [\(list(12) { _ in 0.1 })]
        const %p: f32[4, 4] = [\(list(16) { $0 % 4 == 1 ? 0.0125 : 1 })]
        %qkv: f32[1, 8, 12] = gemm(%x, %w, %b) {trans_b = 1}
        %q: f32[1, 8, 4] = slice(%qkv) {starts = [0], ends = [4], axes = [2]}
        %k: f32[1, 8, 4] = slice(%qkv) {starts = [4], ends = [8], axes = [2]}
        %v: f32[1, 8, 4] = slice(%qkv) {starts = [8], ends = [12], axes = [2]}
        %qh: f32[1, 8, 2, 2] = reshape(%q) {shape = [0, 0, 2, 2]}
        %kh: f32[1, 8, 2, 2] = reshape(%k) {shape = [0, 0, 2, 2]}
        %vh: f32[1, 8, 2, 2] = reshape(%v) {shape = [0, 0, 2, 2]}
        %qt: f32[1, 2, 8, 2] = transpose(%qh) {perm = [0, 2, 1, 3]}
        %kt: f32[1, 2, 2, 8] = transpose(%kh) {perm = [0, 2, 3, 1]}
        %vt: f32[1, 2, 8, 2] = transpose(%vh) {perm = [0, 2, 1, 3]}
        %scores: f32[1, 2, 8, 8] = matmul(%qt, %kt)
        %shares: f32[1, 2, 8, 8] = softmax(%scores) {axis = -1}
        %mixed: f32[1, 2, 8, 2] = matmul(%shares, %vt)
        %back: f32[1, 8, 2, 2] = transpose(%mixed) {perm = [0, 2, 1, 3]}
        %flat: f32[1, 8, 4] = reshape(%back) {shape = [0, 0, 4]}
        %y: f32[1, 8, 4] = gemm(%flat, %p) {trans_b = 1}
        output %y
      }
      """
    let outcome = try smoothed(text, observing: ["flat"])
    #expect(outcome.changed)
    let before = try #require(try parse(text).value(named: "w").flatMap { try parse(text)[$0].constant })
      .elements(as: Float.self)
    let after = try #require(outcome.floats("w"))
    #expect(Array(after[..<32]) == Array(before[..<32]), "queries and keys stay")
    #expect(abs(after[36]) < 0.3 * abs(before[36]))
    #expect(outcome.graph.value(named: "flat.smooth") != nil)
  }
}
