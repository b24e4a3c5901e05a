import BinaryIO
import GraphIR
import Runtime
import Testing

/// Parameters shared by the texts of this suite.
private let parameters = """
    const %sx: f32[] = 0.5
    const %zx: u8[] = 10
    const %sy: f32[] = 0.25
    const %zy: u8[] = 3
    const %sz: f32[] = 2
    const %zz: u8[] = 0
    const %wq: i8[2, 2, 1, 1] = [1, -2, 3, 127]
    const %ws: f32[2] = [0.5, 0.125]
    const %bq: i32[2] = [100, -7]
    const %bf: f32[2] = [1, -1]
    input %x: u8[1, 2, 4, 4]
    %xf: f32[1, 2, 4, 4] = dequantize_linear(%x, %sx, %zx)
    %wf: f32[2, 2, 1, 1] = dequantize_linear(%wq, %ws) {axis = 0}
    %b: f32[2] = dequantize_bias(%bq, %sx, %ws)
  """

private let convAttributes = "strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]"

/// Lowers a text that follows ``parameters``.
private func lower(_ body: String) throws -> Program {
  var graph = try GraphParser.parse("graph @g {\n\(parameters)\n\(body)\n}")
  try TypeInference.infer(&graph)
  return Lowering.lower(graph)
}

/// Names of the steps that are not constant.
private func kinds(_ program: Program) -> [String] {
  program.steps.filter { !$0.isConstant }.map(\.kind.name)
}

private func names(_ ids: [ValueID?], _ program: Program) -> [String] {
  ids.map { id in id.map { program.graph[$0].name } ?? "_" }
}

private let quantizeY = "%q: u8[1, 2, 4, 4] = quantize_linear(%y, %sy, %zy) output %q"

@Suite("Lowering") struct LoweringTests {
  @Test("A convolution between stubs becomes one integer step")
  func conv() throws {
    let program = try lower(
      "%y: f32[1, 2, 4, 4] = conv(%xf, %wf, %b) {\(convAttributes), activation = \"relu\"} \(quantizeY)"
    )
    #expect(kinds(program) == ["integer conv"])
    let step = program.steps[0]
    #expect(names(step.inputs, program) == ["x"] && names(step.outputs, program) == ["q"])
    #expect(step.reason == nil && step.nodes.count == 2)
    guard case .integerConv(let conv) = step.kind, case .requantize(let m, let clamp) = conv.tail else {
      Issue.record("not a requantized convolution")
      return
    }
    #expect(m == [1, 0.25])
    #expect(clamp == OutputClamp(zeroPoint: 3, lowest: 3, highest: 255))
    #expect(conv.inputZeroPoint == 10 && conv.bias == [100, -7] && conv.weights.shape == [2, 2, 1, 1])
    #expect(!conv.isDepthwise && conv.geometry.kernel == [1, 1])
  }

  @Test(
    "A clamp behind the convolution is merged into its limits",
    arguments: [
      ("relu(%c)", 3, 255), ("clip(%c) {min = 0, max = 6}", 3, 27), ("clip(%c) {max = 100}", 0, 255),
      ("clip(%c) {min = -0.5, max = 0.5}", 1, 5),
    ] as [(String, UInt8, UInt8)]
  )
  func separateClamp(op: String, lowest: UInt8, highest: UInt8) throws {
    let program = try lower(
      """
      %c: f32[1, 2, 4, 4] = conv(%xf, %wf, %b) {\(convAttributes)}
      %y: f32[1, 2, 4, 4] = \(op)
      \(quantizeY)
      """
    )
    #expect(kinds(program) == ["integer conv"])
    guard case .integerConv(let conv) = program.steps[0].kind, case .requantize(_, let clamp) = conv.tail
    else {
      Issue.record("not a requantized convolution")
      return
    }
    #expect(clamp == OutputClamp(zeroPoint: 3, lowest: lowest, highest: highest))
  }

  @Test("Two clamps in a row are one")
  func twoClamps() throws {
    let program = try lower(
      """
      %c: f32[1, 2, 4, 4] = conv(%xf, %wf, %b) {\(convAttributes), activation = "relu"}
      %y: f32[1, 2, 4, 4] = clip(%c) {min = -1, max = 2}
      \(quantizeY)
      """
    )
    guard case .integerConv(let conv) = program.steps[0].kind, case .requantize(_, let clamp) = conv.tail
    else {
      Issue.record("not a requantized convolution")
      return
    }
    #expect(clamp == OutputClamp(zeroPoint: 3, lowest: 3, highest: 11))
  }

  @Test(
    "Other activations give the real tail with a quantized result",
    arguments: [
      (", activation = \"hard_swish\"", "clip(%c)"), ("", "hard_swish(%c)"),
    ]
  )
  func realTail(attribute: String, op: String) throws {
    let program = try lower(
      """
      %c: f32[1, 2, 4, 4] = conv(%xf, %wf, %bf) {\(convAttributes)\(attribute)}
      %y: f32[1, 2, 4, 4] = \(op == "clip(%c)" ? "leaky_relu(%c)" : op)
      \(quantizeY)
      """
    )
    guard case .integerConv(let conv) = program.steps[0].kind,
      case .real(let scales, let bias, let activation, let output) = conv.tail
    else {
      Issue.record("not a real tail")
      return
    }
    #expect(scales == [0.25, 0.0625] && bias == [1, -1] && activation == .hardSwish)
    if attribute.isEmpty {
      #expect(output == Affine(scale: 0.25, zeroPoint: 3))
      #expect(kinds(program) == ["integer conv"])
    } else {
      #expect(output == nil)
      #expect(kinds(program) == ["integer conv", "float leaky_relu", "quantize"])
    }
  }

  @Test("A result that stays float gives the real tail, whoever uses it")
  func floatOutput() throws {
    let program = try lower(
      """
      %y: f32[1, 2, 4, 4] = conv(%xf, %wf, %b) {\(convAttributes)}
      %q: u8[1, 2, 4, 4] = quantize_linear(%y, %sy, %zy)
      output %q
      output %y
      """
    )
    #expect(kinds(program) == ["integer conv", "quantize"])
    #expect(names(program.steps[0].outputs, program) == ["y"])
  }

  @Test("A dynamically quantized convolution keeps its float bias and result")
  func dynamicConv() throws {
    let program = try lower(
      """
      input %f: f32[1, 2, 4, 4]
      %fq: u8[1, 2, 4, 4], %fs: f32[], %fz: u8[] = dynamic_quantize(%f)
      %fd: f32[1, 2, 4, 4] = dequantize_linear(%fq, %fs, %fz)
      %y: f32[1, 2, 4, 4] = conv(%fd, %wf, %bf) {\(convAttributes), activation = "relu"}
      output %y
      """
    )
    #expect(kinds(program) == ["dynamic quantize", "dynamic conv"])
    #expect(names(program.steps[1].inputs, program) == ["fq", "fs", "fz"])
    guard case .dynamicConv(let conv) = program.steps[1].kind else { return }
    #expect(
      conv.tail.weightScales == [0.5, 0.125] && conv.tail.bias == [1, -1] && conv.tail.activation == .relu
    )
  }

  @Test("Matrix products: gemm both ways round, and matmul with a constant matrix")
  func matrices() throws {
    let program = try lower(
      """
      input %r: u8[3, 2]
      const %m: i8[2, 2] = [1, 2, 3, 4]
      %rf: f32[3, 2] = dequantize_linear(%r, %sx, %zx)
      %rows: f32[2, 2] = dequantize_linear(%m, %ws) {axis = 0}
      %columns: f32[2, 2] = dequantize_linear(%m, %ws) {axis = 1}
      %a: f32[3, 2] = gemm(%rf, %rows, %b) {trans_b = 1}
      %c: f32[3, 2] = gemm(%rf, %columns)
      %d: f32[3, 2] = matmul(%rf, %columns)
      output %a
      output %c
      output %d
      """
    )
    #expect(kinds(program) == ["integer gemm", "integer gemm", "integer gemm"])
    let transposed = program.steps.map { step in
      if case .integerGemm(let gemm) = step.kind { gemm.isTransposed } else { false }
    }
    #expect(transposed == [true, false, false])
  }

  @Test(
    "Operators of two quantized tensors",
    arguments: [
      ("add", "integer add"), ("sub", "integer add"), ("mul", "integer mul"),
    ]
  )
  func elementwise(op: String, kind: String) throws {
    let program = try lower(
      """
      input %v: u8[1, 2, 1, 1]
      %vf: f32[1, 2, 1, 1] = dequantize_linear(%v, %sz, %zz)
      %s: f32[1, 2, 4, 4] = \(op)(%xf, %vf)
      %y: f32[1, 2, 4, 4] = relu(%s)
      \(quantizeY)
      """
    )
    #expect(kinds(program) == [kind])
    switch program.steps[0].kind {
    case .integerAdd(let add):
      #expect(add.multiplierA == 2 && add.multiplierB == (op == "sub" ? -8 : 8))
      #expect(add.zeroPointA == 10 && add.zeroPointB == 0 && add.clamp.lowest == 3)
    case .integerMul(let mul): #expect(mul.multiplier == 4)
    default: Issue.record("unexpected step")
    }
  }

  @Test(
    "Pointwise operators between stubs are one table",
    arguments: [
      "%y: f32[1, 2, 4, 4] = sigmoid(%xf)", "%y: f32[1, 2, 4, 4] = clip(%xf) {min = 0, max = 6}",
      "%t: f32[1, 2, 4, 4] = add(%xf, %sx) %y: f32[1, 2, 4, 4] = hard_sigmoid(%t)",
      "%y: f32[1, 2, 4, 4] = gelu(%xf)", "%y: f32[1, 2, 4, 4] = div(%sx, %xf)",
    ]
  )
  func tables(body: String) throws {
    let program = try lower("\(body) \(quantizeY)")
    #expect(kinds(program) == ["integer table"])
  }

  @Test("A change of parameters is a table")
  func requantize() throws {
    let program = try lower("%q: u8[1, 2, 4, 4] = quantize_linear(%xf, %sy, %zy) output %q")
    #expect(kinds(program) == ["integer table"])
  }

  @Test("Concatenation brings each operand to the output's parameters")
  func concat() throws {
    let program = try lower(
      """
      input %v: u8[1, 2, 4, 4]
      %vf: f32[1, 2, 4, 4] = dequantize_linear(%v, %sy, %zy)
      %c: f32[1, 4, 4, 4] = concat(%xf, %vf) {axis = -3}
      %q: u8[1, 4, 4, 4] = quantize_linear(%c, %sy, %zy)
      output %q
      """
    )
    guard case .integerConcat(let concat) = program.steps[0].kind else {
      Issue.record("not a concatenation")
      return
    }
    #expect(concat.axis == 1 && concat.tables[0]?.count == 256 && concat.tables[1] == nil)
  }

  @Test(
    "Pooling",
    arguments: [
      (
        "max_pool(%xf) {kernel = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0], dilations = [1, 1]}", "2, 2",
        "max_pool"
      ),
      (
        "average_pool(%xf) {kernel = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0], dilations = [1, 1]}",
        "2, 2",
        "average_pool"
      ),
      ("global_average_pool(%xf)", "1, 1", "global pool"), ("global_max_pool(%xf)", "1, 1", "global pool"),
      ("reduce_mean(%xf) {axes = [2, 3]}", "1, 1", "global pool"),
      ("reduce_mean(%xf) {axes = [-1, -2]}", "1, 1", "global pool"),
    ]
  )
  func pooling(op: String, extents: String, kind: String) throws {
    let program = try lower(
      """
      %p: f32[1, 2, \(extents)] = \(op)
      %q: u8[1, 2, \(extents)] = quantize_linear(%p, %sy, %zy)
      output %q
      """
    )
    #expect(kinds(program) == ["integer \(kind)"])
  }

  @Test("Shape operators move bytes, with a table only where parameters change")
  func passThrough() throws {
    for (scale, hasTable) in [("%sx, %zx", false), ("%sy, %zy", true)] {
      let program = try lower(
        """
        %t: f32[1, 32] = flatten(%xf)
        %q: u8[1, 32] = quantize_linear(%t, \(scale))
        output %q
        """
      )
      guard case .passThrough(let pass) = program.steps[0].kind else {
        Issue.record("not a move of bytes")
        return
      }
      #expect((pass.tables[0] != nil) == hasTable)
    }
  }

  @Test("A split with a stub behind every part is one step")
  func split() throws {
    let program = try lower(
      """
      %a: f32[1, 1, 4, 4], %b2: f32[1, 1, 4, 4] = split(%xf) {axis = 1, sizes = [1, 1]}
      %qa: u8[1, 1, 4, 4] = quantize_linear(%a, %sx, %zx)
      %qb: u8[1, 1, 4, 4] = quantize_linear(%b2, %sy, %zy)
      output %qb
      output %qa
      """
    )
    #expect(kinds(program) == ["integer split"])
    #expect(names(program.steps[0].outputs, program) == ["qa", "qb"])
  }

  @Test("Constant padding is padding with its byte, if it has one")
  func pad() throws {
    func program(_ value: String) throws -> Program {
      try lower(
        """
        %t: f32[1, 2, 4, 6] = pad(%xf) {pads = [0, 0, 0, 1, 0, 0, 0, 1], value = \(value)}
        %q: u8[1, 2, 4, 6] = quantize_linear(%t, %sx, %zx)
        output %q
        """
      )
    }
    guard case .passThrough(let pass) = try program("2.5").steps[0].kind else {
      Issue.record("not a move of bytes")
      return
    }
    #expect(pass.padByte == 15)
    #expect(kinds(try program("0.3")) == ["dequantize", "float pad", "quantize"])
  }

  @Test("Everything is computed once, constants before all, and unused nodes not at all")
  func emission() throws {
    let program = try lower(
      """
      %y: f32[1, 2, 4, 4] = conv(%xf, %wf, %b) {\(convAttributes)}
      %f: f32[1, 2, 4, 4] = sin(%xf)
      %s: f32[1, 2, 4, 4] = softplus(%f)
      output %f
      """
    )
    #expect(program.steps.map(\.kind.name) == ["dequantize", "float sin"])
    #expect(program.steps.allSatisfy { !$0.isConstant })
    let other = try lower("%y: f32[2, 2, 1, 1] = relu(%wf) output %wf")
    #expect(other.steps.map(\.isConstant) == [true])
  }

  @Test("A float value that exists only as integers has a stand-in")
  func standIns() throws {
    let program = try lower("%y: f32[1, 2, 4, 4] = sigmoid(%xf) \(quantizeY)")
    let y = try #require(program.graph.value(named: "y"))
    let x = try #require(program.graph.value(named: "xf"))
    #expect(program.standIns[y].map { program.graph[$0.quantized].name } == "q")
    #expect(program.standIns[x].map { program.graph[$0.quantized].name } == "x")
    #expect(program.standIns[x]?.stub.scales == [0.5])
  }
}

@Suite("Reasons to stay float") struct LoweringReasonTests {
  @Test(
    "A convolution says why it has no integer step",
    arguments: [
      ("conv(%xf, %bad, %b)", "i8", "%bad: f32[2, 2, 1, 1] = dequantize_linear(%wu, %sx)"),
      (
        "conv(%xf, %bad, %b)", "zero point of weight",
        "%bad: f32[2, 2, 1, 1] = dequantize_linear(%wq, %sx, %one)"
      ),
      ("conv(%xf, %bad, %b)", "along", "%bad: f32[2, 2, 1, 1] = dequantize_linear(%wq, %ws) {axis = 1}"),
      ("conv(%xf, %wf, %bad)", "scale of bias", "%bad: f32[2] = dequantize_bias(%bq, %sz, %ws)"),
      ("conv(%xf, %wf, %bad)", "f32 constant", "%bad: f32[2] = relu(%bf)"),
      ("conv(%xf, %wf, %bad)", "K5", "%bad: f32[2] = dequantize_bias(%huge, %sx, %ws)"),
      ("conv(%xf, %bad, %b)", "scale of bias", "%bad: f32[2, 2, 1, 1] = dequantize_linear(%wq, %sx)"),
    ]
  )
  func conv(op: String, reason: String, definition: String) throws {
    let program = try lower(
      """
      const %one: i8[] = 1
      const %wu: u8[2, 2, 1, 1] = [1, 2, 3, 4]
      const %huge: i32[2] = [0, 2147483647]
      \(definition)
      %y: f32[1, 2, 4, 4] = \(op) {\(convAttributes)}
      \(quantizeY)
      """
    )
    let step = try #require(program.steps.first { $0.kind.name == "float conv" })
    #expect(step.reason?.contains(reason) == true, "\(step.reason ?? "none")")
  }

  @Test(
    "Other operators say why",
    arguments: [
      ("%y: f32[1, 2, 4, 4] = add(%xf, %f) \(quantizeY)", "float add", "%f"),
      ("%y: f32[1, 2, 4, 4] = add(%xf, %xf) output %y", "float add", "other users"),
      ("%y: f32[1, 2, 4, 4] = div(%xf, %xf) \(quantizeY)", "float div", "no integer form"),
      ("%y: f32[1, 2, 4, 4] = sin(%xf) \(quantizeY)", "float sin", "no integer form"),
      ("%y: f32[1, 2, 4, 4] = softmax(%xf) \(quantizeY)", "float softmax", "no integer form"),
      (
        "%s: f32[1, 2, 4, 4] = add(%xf, %xf) %y: f32[1, 2, 4, 4] = sigmoid(%s) \(quantizeY)", "float add",
        "no clamp"
      ),
      (
        "%y: f32[1, 2, 4, 4] = relu(%xf) %z: f32[1, 2, 4, 4] = softmax(%y) output %z", "float relu",
        "not quantized"
      ),
      ("%y: f32[1, 1, 4, 4] = reduce_mean(%xf) {axes = [1]} output %y", "float reduce_mean", "spatial"),
      (
        "%y: f32[1, 2, 8, 8] = resize(%xf) {sizes = [1, 2, 8, 8], mode = \"linear\"} output %y",
        "float resize",
        "nearest"
      ),
    ]
  )
  func others(body: String, kind: String, reason: String) throws {
    let program = try lower("input %f: f32[1, 2, 4, 4]\n\(body)")
    let step = try #require(program.steps.first { $0.kind.name == kind }, "\(program.steps.map(\.kind.name))")
    #expect(step.reason?.contains(reason) == true, "\(step.reason ?? "none")")
  }

  @Test("Where nobody asked for integers there is no reason")
  func noReason() throws {
    let program = try lower("input %f: f32[2] %y: f32[2] = add(%f, %f) output %y")
    #expect(program.steps.map(\.reason) == [nil])
  }
}
