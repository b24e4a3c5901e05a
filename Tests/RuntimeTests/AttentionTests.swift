import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import Runtime

/// Attention as one operation, and what is left as separate steps.
@Suite("Attention") struct AttentionTests {
  /// How one network differs from plain attention.
  struct Form: CustomTestStringConvertible {
    var testDescription: String
    /// Shape of what is added to scores of shape `[2, 3, 6, 9]`.
    var mask: [Int]?
    var factor: (kind: Binary.Kind, isFirst: Bool)?
    var softmaxAxis = -1
    var showsScores = false
    /// Adds -infinity to all scores of the first query, which guarded softmax gives 0.
    var isGuarded = false
    var perm = [0, 2, 1, 3]
    var isJoined = true
  }

  static let forms = [
    Form(testDescription: "plain"),
    Form(testDescription: "a mask of keys", mask: [2, 1, 1, 9]),
    Form(testDescription: "a mask of few axes", mask: [6, 9], factor: (.mul, false)),
    Form(testDescription: "a mask of queries", mask: [3, 6, 1], factor: (.div, false)),
    Form(testDescription: "one number for a mask", mask: [1]),
    Form(testDescription: "results as they are", perm: [0, 1, 2, 3]),
    Form(testDescription: "queries that see nothing", isGuarded: true),
    Form(testDescription: "a factor on the left", factor: (.mul, true)),
    Form(testDescription: "columns moved outward", perm: [0, 1, 3, 2]),
    Form(testDescription: "a divided factor", factor: (.div, true), isJoined: false),
    Form(testDescription: "a difference", factor: (.sub, false), isJoined: false),
    Form(testDescription: "scores that something else reads", showsScores: true, isJoined: false),
    Form(testDescription: "softmax over queries", softmaxAxis: 2, isJoined: false),
  ]

  private func draft(_ form: Form) throws -> GraphDraft {
    var draft = GraphDraft(seed: 51)
    func operand(_ name: String, _ shape: [Int]) -> ValueID {
      draft.graph.addInput(name, TensorType(.float32, known: shape))
    }
    let q = try draft.node(.transpose(Transpose(perm: [0, 2, 1, 3])), [operand("q", [2, 6, 3, 4])])
    let k = try draft.node(.transpose(Transpose(perm: [0, 2, 3, 1])), [operand("k", [2, 9, 3, 4])])
    let v = try draft.node(.transpose(Transpose(perm: [0, 2, 1, 3])), [operand("v", [2, 9, 3, 5])])
    var scores = try draft.node(.matMul(MatMul()), [q, k])
    if form.showsScores { draft.graph.addOutput(scores) }
    if let factor = form.factor {
      let value = draft.constant("factor", try .floats([0.5], []))
      scores = try draft.node(
        .binary(Binary(factor.kind)),
        factor.isFirst ? [value, scores] : [scores, value]
      )
    }
    if let mask = form.mask {
      scores = try draft.node(.binary(Binary(.add)), [scores, operand("mask", mask)])
    }
    if form.isGuarded {
      let nothing = [-Float.infinity] + [Float](repeating: 0, count: 5)
      let mask = draft.constant("nothing", try .floats(nothing, [6, 1]))
      scores = try draft.node(.binary(Binary(.add)), [scores, mask])
    }
    let softmax = Softmax(axis: form.softmaxAxis, isGuarded: form.isGuarded)
    scores = try draft.node(.softmax(softmax), [scores])
    var y = try draft.node(.matMul(MatMul()), [scores, v])
    y = try draft.node(.transpose(Transpose(perm: form.perm)), [y])
    draft.graph.addOutput(try draft.node(.unary(Unary(.relu)), [y]))
    return draft
  }

  @Test("agrees with the reference, joined or not", arguments: forms)
  func agrees(form: Form) throws {
    let draft = try draft(form)
    try PlanTests.compare(draft.graph, seed: 52, tolerance: 1e-5, form.testDescription)
    let kernels = try PlanTests.kernels(draft.graph)
    #expect(kernels.contains("f32 attention") == form.isJoined, "\(kernels)")
    #expect(kernels.contains("f32 softmax") != form.isJoined || form.softmaxAxis != -1, "\(kernels)")
  }

  @Test("rows are added, normalised and quantized in one operation, whose sum others can read")
  func rows() throws {
    var draft = GraphDraft(seed: 54, .dynamicInteger)
    draft.isPerRow = true
    let x = draft.graph.addInput("x", TensorType(.float32, known: [2, 7, 40]))
    let other = draft.graph.addInput("y", TensorType(.float32, known: [2, 7, 40]))
    let sum = try draft.node(.binary(Binary(.add)), [x, other])
    let scale = draft.constant("scale", try draft.random.floats([40]))
    let norm = try draft.node(.layerNorm(LayerNorm(axis: -1, epsilon: 1e-6)), [sum, scale])
    var z = try draft.gemm(norm, outputs: 64)
    z = try draft.gemm(try draft.node(.gelu(Gelu()), [z]), outputs: 40)
    draft.graph.addOutput(try draft.node(.binary(Binary(.add)), [sum, z]))
    let kernels = try PlanTests.kernels(draft.graph)
    #expect(kernels.contains("f32 add, layer norm, quantize rows"), "\(kernels)")
    #expect(kernels.contains("f32 activation, quantize rows"), "\(kernels)")
    try PlanTests.compare(draft.graph, seed: 55, tolerance: 1e-2, "rows")
  }

  @Test(
    "patches of a convolution become rows of tokens, over which a mean is taken, without a reference step"
  )
  func patches() throws {
    var draft = GraphDraft(seed: 57)
    let x = draft.graph.addInput("x", TensorType(.float32, known: [2, 3, 8, 12]))
    let op = Conv(strides: [4, 4], pads: [0, 0, 0, 0], dilations: [1, 1])
    var y = try draft.conv(x, outputs: 10, kernel: [4, 4], op)
    draft.graph.addOutput(try draft.node(.reshape(Reshape(shape: [2, 5, 12])), [y]))
    y = try draft.node(.reshape(Reshape(shape: [2, 10, 6])), [y])
    y = try draft.node(.transpose(Transpose(perm: [0, 2, 1])), [y])
    y = try draft.node(.unary(Unary(.tanh)), [y])
    let means: [(Reduce.Kind, [Int], Bool)] = [
      (.mean, [1], false), (.max, [-2], true), (.mean, [0, 1], true),
    ]
    for (kind, axes, keepDims) in means {
      draft.graph.addOutput(try draft.node(.reduce(Reduce(kind, axes: axes, keepDims: keepDims)), [y]))
    }
    try PlanTests.compare(draft.graph, seed: 58, tolerance: 1e-5, "patches")
    let kernels = try PlanTests.kernels(draft.graph)
    #expect(kernels.allSatisfy { !$0.hasPrefix("reference") }, "\(kernels)")
  }

  @Test("values inside of joined operations can be observed")
  func observed() throws {
    let draft = try draft(AttentionTests.forms[1])
    var random = SplitMix64(seed: 56)
    var inputs: [String: Tensor] = [:]
    for id in draft.graph.inputs {
      inputs[draft.graph[id].name] = try random.floats(draft.graph[id].type.knownDims ?? [])
    }
    let values = draft.graph.order.flatMap { draft.graph[$0].outputs }
    var seen: [ValueID] = []
    let session = try Session(draft.graph)
    let plain = try session.run(inputs)
    let shown = try session.run(inputs, observing: values) { (id, _) throws(Refusal) in seen.append(id) }
    #expect(seen.count == values.count)
    for (name, tensor) in plain { #expect(PlanTests.matches(tensor, shown[name], 1e-5)) }
  }
}
