import BinaryIO
import GraphIR
import Kernels
import TestSupport
import Testing

@testable import Runtime

/// Steps of transformers: the plan against the reference executor, and rows with parameters of their own.
@Suite("Transformer steps") struct TransformerTests {
  /// One encoder block of 2 heads on `[2, 5, 32]`, as exporters write it.
  private func block(_ draft: inout GraphDraft) throws {
    let x = draft.graph.addInput("x", TensorType(.float32, known: [2, 5, 32]))
    let mask = draft.graph.addInput("mask", TensorType(.float32, known: [2, 1, 1, 5]))
    let y = try attention(&draft, norm(&draft, x), mask)
    let middle = try draft.node(.binary(Binary(.add)), [x, y])
    var z = try draft.gemm(norm(&draft, middle), outputs: 48)
    z = try draft.node(.gelu(Gelu()), [z])
    z = try draft.gemm(z, outputs: 32)
    z = try draft.node(.binary(Binary(.add)), [middle, z])
    let first = try draft.constant("first", .int64s([0], []))
    draft.graph.addOutput(try draft.node(.gather(Gather(axis: 1)), [z, first]))
    let mean = try draft.node(.reduce(Reduce(.mean, axes: [1], keepDims: false)), [z])
    draft.graph.addOutput(mean)
  }

  private func norm(_ draft: inout GraphDraft, _ x: ValueID) throws -> ValueID {
    let scale = draft.constant("scale", try draft.random.floats([32]))
    let bias = draft.constant("bias", try draft.random.floats([32]))
    return try draft.node(.layerNorm(LayerNorm(axis: -1, epsilon: 1e-6)), [x, scale, bias])
  }

  private func attention(_ draft: inout GraphDraft, _ x: ValueID, _ mask: ValueID) throws -> ValueID {
    var joined = try draft.gemm(x, outputs: 96)
    joined = try draft.node(.reshape(Reshape(shape: [2, 5, 3, 2, 16])), [joined])
    joined = try draft.node(.transpose(Transpose(perm: [2, 0, 3, 1, 4])), [joined])
    let names = ["q", "k", "v"].map { draft.graph.uniqueName($0) }
    let split = try draft.graph.addNode(
      .split(Split(axis: 0, sizes: [1, 1, 1])),
      inputs: [joined],
      outputNames: names
    )
    let parts = draft.graph[split].outputs
    let q = try draft.node(.squeeze(Squeeze(axes: [0])), [parts[0]])
    let k = try draft.node(.squeeze(Squeeze(axes: [0])), [parts[1]])
    let v = try draft.node(.squeeze(Squeeze(axes: [0])), [parts[2]])
    let turned = try draft.node(.transpose(Transpose(perm: [0, 1, 3, 2])), [k])
    let factor = draft.constant("factor", try .floats([0.25], []))
    let scaled = try draft.node(.binary(Binary(.mul)), [turned, factor])
    var scores = try draft.node(.matMul(MatMul()), [q, scaled])
    scores = try draft.node(.binary(Binary(.add)), [scores, mask])
    scores = try draft.node(.softmax(Softmax(axis: -1)), [scores])
    var mixed = try draft.node(.matMul(MatMul()), [scores, v])
    mixed = try draft.node(.transpose(Transpose(perm: [0, 2, 1, 3])), [mixed])
    mixed = try draft.node(.reshape(Reshape(shape: [2, 5, 32])), [mixed])
    return try draft.gemm(mixed, outputs: 32)
  }

  @Test("an encoder block", arguments: [1, 2, 3] as [UInt64])
  func encoder(seed: UInt64) throws {
    var draft = GraphDraft(seed: seed)
    try block(&draft)
    try PlanTests.compare(draft.graph, seed: seed, tolerance: 1e-5, "encoder \(seed)")
  }

  @Test("a matrix product of rows with parameters of their own gives the reference's bytes")
  func rows() throws {
    for (seed, shape) in [(UInt64(4), [1, 7, 40]), (5, [3, 2, 129]), (6, [2, 1, 64]), (7, [33, 16])] {
      var draft = GraphDraft(seed: seed, .dynamicInteger)
      draft.isPerRow = true
      let x = draft.graph.addInput("x", TensorType(.float32, known: shape))
      draft.graph.addOutput(try draft.gemm(x, outputs: 70))
      let program = try Program(draft.graph, inputTypes: [:])
      #expect(
        program.steps.contains { if case .dynamicGemm(let gemm) = $0.kind { gemm.isPerRow } else { false } }
      )
      try PlanTests.compare(draft.graph, seed: seed, tolerance: 0, "rows \(shape)")
    }
  }

  @Test("views of views: slices, splits, transposes, expansions and indices are copied in order")
  func views() throws {
    var draft = GraphDraft(seed: 8)
    let x = draft.graph.addInput("x", TensorType(.float32, known: [3, 4, 6, 5]))
    var y = try draft.node(.slice(Slice(starts: [1, 0], ends: [6, 4], axes: [2, 1], steps: [2, 3])), [x])
    y = try draft.node(.transpose(Transpose(perm: [3, 0, 2, 1])), [y])
    draft.graph.addOutput(try draft.node(.unary(Unary(.relu)), [y]))
    let index = draft.constant("index", try .int64s([-1], [1]))
    let picked = try draft.node(.gather(Gather(axis: 1)), [y, index])
    let shape = draft.constant("shape", try .int64s([5, 2, 3, 2]))
    draft.graph.addOutput(try draft.node(.expand(Expand()), [picked, shape]))
    draft.graph.addOutput(y)
    try PlanTests.compare(draft.graph, seed: 8, tolerance: 0, "views")
  }

  @Test("operands broadcast in any way")
  func broadcasts() throws {
    for (a, b) in [
      ([2, 3, 1, 5], [2, 1, 4, 1]), ([4, 1], [3]), ([2, 3, 4], [2, 3, 1]), ([1, 5], [4, 1, 5]),
    ] {
      for kind in [Binary.Kind.add, .sub, .mul, .div] {
        var draft = GraphDraft(seed: 9)
        let x = draft.graph.addInput("a", TensorType(.float32, known: a))
        let y = draft.graph.addInput("b", TensorType(.float32, known: b))
        draft.graph.addOutput(try draft.node(.binary(Binary(kind)), [x, y]))
        try PlanTests.compare(draft.graph, seed: 9, tolerance: 0, "\(kind) \(a) \(b)")
      }
    }
  }

  @Test("massive activations of a few tokens ruin one range for all, but not a range per token")
  func massiveActivations() throws {
    var values = try SplitMix64.normal(11, [1, 40, 64])
    for token in 1...4 { values[token * 64 + 7] *= 300 }
    let x = try Tensor.floats(values, [1, 40, 64])
    func run(_ isPerRow: Bool) throws -> (Tensor, Tensor) {
      var draft = GraphDraft(seed: 12, .dynamicInteger)
      draft.isPerRow = isPerRow
      let input = draft.graph.addInput("x", x.type)
      let y = try draft.gemm(input, outputs: 32)
      draft.graph.addOutput(y)
      let integer = try Session(draft.graph).run(["x": x])
      guard let node = draft.graph[y].producer else { throw TestFailure("no gemm") }
      draft.graph.setInputs([input] + draft.graph[node].inputs.dropFirst(), of: node)
      let float = try Session(draft.graph).run(["x": x])
      let name = draft.graph[y].name
      return (try #require(integer[name]), try #require(float[name]))
    }
    func error(_ pair: (Tensor, Tensor)) -> Float {
      let ordinary = 5 * 32
      let got = pair.0.elements(as: Float.self).dropFirst(ordinary)
      let wanted = pair.1.elements(as: Float.self).dropFirst(ordinary)
      let noise = zip(got, wanted).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      return (noise / wanted.reduce(0) { $0 + $1 * $1 }).squareRoot()
    }
    #expect(error(try run(false)) > 0.3)
    #expect(error(try run(true)) < 0.01)
  }
}

extension SplitMix64 {
  /// Sums of twelve uniform numbers, which are nearly normal.
  fileprivate static func normal(_ seed: UInt64, _ shape: [Int]) throws -> [Float] {
    var random = SplitMix64(seed: seed)
    return (0..<shape.reduce(1, *)).map { _ in
      (0..<12).reduce(0) { (sum: Float, _) in sum + random.float(-0.5...0.5) }
    }
  }
}
