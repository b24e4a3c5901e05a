import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import Runtime

/// Batches that run in parts: the same bytes as a plan for all samples.
@Suite("Batches in parts") struct BatchExecutorTests {
  private static let batchShape: [Dim] = [.symbol("N"), .known(6), .known(9), .known(9)]

  /// Convolutions, a residual addition, a gate by global pooling, and a classifier of two layers.
  private func network(_ scheme: GraphDraft.Scheme, seed: UInt64) throws -> Graph {
    var draft = GraphDraft(seed: seed, scheme)
    let same = Conv(strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1])
    let x = try draft.stubs(draft.graph.addInput("x", TensorType(.float32, BatchExecutorTests.batchShape)))
    let a = try draft.conv(x, outputs: 20, kernel: [3, 3], same)
    let b = try draft.conv(a, outputs: 20, kernel: [3, 3], same)
    let sum = try draft.stubs(draft.node(.binary(Binary(.add)), [a, b]))
    let means = try draft.stubs(draft.node(.globalPool(GlobalPool(.average)), [sum]))
    let gates = try draft.stubs(draft.node(.unary(Unary(.sigmoid)), [means]), scale: 1 / 255)
    let gated = try draft.stubs(draft.node(.binary(Binary(.mul)), [sum, gates]))
    let pooled = try draft.stubs(draft.node(.globalPool(GlobalPool(.average)), [gated]))
    let flat = try draft.stubs(draft.node(.flatten(Flatten(axis: 1)), [pooled]))
    let hidden = try draft.gemm(flat, outputs: 24)
    draft.graph.addOutput(try draft.gemm(hidden, outputs: 7))
    return draft.graph
  }

  @Test(
    "a convolutional network",
    arguments: [.float, .half, .staticInteger] as [GraphDraft.Scheme],
    [(2, 1), (5, 2), (8, 3), (12, 2), (3, 5)]
  )
  func convolutional(scheme: GraphDraft.Scheme, _ extents: (samples: Int, threads: Int)) throws {
    let graph = try network(scheme, seed: 31)
    var random = SplitMix64(seed: 32)
    let x = try random.floats([extents.samples, 6, 9, 9], in: -3...3)
    let program = try Program(graph, inputTypes: ["x": x.type])
    let resources = try PlanResources(threads: extents.threads)
    let whole = try PlanExecutor.make(program, resources, memoryLimit: .max)
    let parts = try #require(try BatchExecutor.make(graph, program, resources, memoryLimit: .max))
    let expected = try whole.run([x], observing: []) { (_, _) throws(Refusal) in }
    for _ in 0..<3 {
      let got = try parts.run([x], observing: []) { (_, _) throws(Refusal) in }
      #expect(got.map(\.shape) == [[extents.samples, 7]])
      #expect(got[0].bytes.hasSameBytes(as: expected[0].bytes), "\(scheme) \(extents), seeds 31 and 32")
    }
  }

  @Test("observed runs show the values of all samples")
  func observed() throws {
    let graph = try network(.float, seed: 33)
    var random = SplitMix64(seed: 34)
    let x = try random.floats([4, 6, 9, 9])
    let program = try Program(graph, inputTypes: ["x": x.type])
    let session = try Session(graph, options: SessionOptions(threads: 2))
    _ = try session.run(["x": x])
    let watched = Set(program.steps.filter { !$0.isConstant }.flatMap(\.outputs))
    var samples: [ValueID: Int] = [:]
    _ = try session.run(["x": x], observing: Array(watched)) { (id, tensor) throws(Refusal) in
      samples[id] = tensor.shape[0]
    }
    #expect(Set(samples.keys) == watched && samples.values.allSatisfy { $0 == 4 })
  }

  @Test("a profile counts the operations of the whole batch")
  func profile() throws {
    let graph = try network(.staticInteger, seed: 35)
    var random = SplitMix64(seed: 36)
    let x = try random.floats([6, 6, 9, 9])
    let program = try Program(graph, inputTypes: ["x": x.type])
    let resources = try PlanResources(threads: 2)
    let whole = try PlanExecutor.make(program, resources, memoryLimit: .max).profile([x], runs: 1)
    let parts = try #require(try BatchExecutor.make(graph, program, resources, memoryLimit: .max))
    let profile = try parts.profile([x], runs: 1)
    let operations = whole.steps.map(\.multiplyAdds).reduce(0, +)
    #expect(operations > 0 && profile.steps.map(\.multiplyAdds).reduce(0, +) == operations)
  }

  /// Whether the samples of a network `x: f32[N, 4, 3] -> y` are found to be independent.
  private func isIndependent(_ body: String) throws -> Bool {
    let text = "graph @g {\n input %x: f32[N, 4, 3]\n \(body)\n output %y\n}"
    let graph = try GraphParser.parse(text)
    func typed(_ samples: Int) throws -> Graph {
      try Program(graph, inputTypes: ["x": TensorType(.float32, known: [samples, 4, 3])]).graph
    }
    return SampleIndependence.holds(graph, one: try typed(1), many: try typed(4), samples: 4)
  }

  @Test(
    "operators that keep samples apart",
    arguments: [
      "%y: f32[N, 4, 3] = relu(%x)",
      "%y: f32[N, 4, 3] = softmax(%x) {axis = 1}",
      "%y: f32[N, 12] = flatten(%x)",
      "%y: f32[N, 3, 4] = transpose(%x) {perm = [0, 2, 1]}",
      "%y: f32[N, 4] = reduce_mean(%x) {axes = [-1], keep_dims = 0}",
      "%t: f32[N, 3, 4] = transpose(%x) {perm = [0, 2, 1]} %y: f32[N, 4, 4] = matmul(%x, %t)",
      "%y: f32[N, 8, 3] = concat(%x, %x) {axis = 1}",
      "%y: f32[N, 2, 3] = slice(%x) {starts = [0, 1], ends = [9223372036854775807, 3], axes = [0, 1]}",
      "%q: u8[N, 4, 3], %s: f32[N, 4, 1], %z: u8[N, 4, 1] = dynamic_quantize(%x) {per_row = 1} "
        + "%y: f32[N, 4, 3] = dequantize_linear(%q, %s, %z)",
    ]
  )
  func apart(body: String) throws {
    #expect(try isIndependent(body))
  }

  @Test(
    "operators that let samples meet",
    arguments: [
      "%y: f32[N, 4, 3] = softmax(%x) {axis = 0}",
      "%y: f32[1, 4, 3] = reduce_mean(%x) {axes = [0]}",
      "%m: f32[1, 4, 3] = reduce_max(%x) {axes = [0]} %y: f32[N, 4, 3] = sub(%x, %m)",
      "%y: f32[4, N, 3] = transpose(%x) {perm = [1, 0, 2]}",
      "%f: f32[N, 12] = flatten(%x) %t: f32[12, N] = transpose(%f) {perm = [1, 0]} %y: f32[N, N] = matmul(%f, %t)",
      "%y: f32[N, 4, 3] = slice(%x) {starts = [-1], ends = [-9223372036854775807], axes = [0], steps = [-1]}",
      "%q: u8[N, 4, 3], %s: f32[], %z: u8[] = dynamic_quantize(%x) "
        + "%y: f32[N, 4, 3] = dequantize_linear(%q, %s, %z)",
      "%y: f32[?, 4, 3] = concat(%x, %x) {axis = 0}",
    ]
  )
  func together(body: String) throws {
    #expect(try !isIndependent(body))
  }
}
