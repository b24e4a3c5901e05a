import BinaryIO
import GraphIR
import Quantization
import Testing

@testable import Passes

private let conv = "{strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}"

/// A context in which every named value has the range 0...255, whose scale is 1.
private func calibrated(
  _ names: [String],
  _ options: PassOptions = PassOptions(),
  high: Float = 255
) throws -> PassContext {
  var ranges = ActivationRanges()
  for name in names { try ranges.set(.init(name: name, low: 0, high: high, samples: 1)) }
  return PassContext(options: options, ranges: ranges)
}

/// The names of the values to observe.
private func observed(_ text: String) throws -> [String] {
  let graph = try parse(text)
  return QuantizationTargets.activationValues(graph).map { graph[$0].name }
}

@Suite("InsertQuantStubs")
struct InsertQuantStubsTests {
  static let residual = """
    graph @net {
      input %x: f32[1, 1, 2, 2]
      const %w: f32[1, 1, 1, 1] = [5]
      %a: f32[1, 1, 2, 2] = conv(%x, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], activation = "relu"}
      %b: f32[1, 1, 2, 2] = conv(%a, %w) \(conv)
      %s: f32[1, 1, 2, 2] = add(%b, %a)
      %r: f32[1, 1, 2, 2] = relu(%s)
      %p: f32[1, 1, 2, 2] = max_pool(%r) {kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
      %g: f32[1, 1, 1, 1] = global_average_pool(%p)
      %f: f32[1, 1] = flatten(%g)
      const %v: f32[1, 1] = [5]
      %y: f32[1, 1] = gemm(%f, %v)
      %z: f32[1, 1] = softmax(%y)
      output %z
    }
    """

  @Test("a residual block flows in integers; sum and relu are one, pooling and reshaping keep the range")
  func residual() throws {
    #expect(try observed(Self.residual) == ["x", "a", "b", "r", "g"])
    let outcome = try run(
      .insertQuantStubs,
      Self.residual,
      context: calibrated(["x", "a", "b", "r", "g"]),
      isIdempotent: false
    )
    let q = "quantize_linear"
    let dq = "dequantize_linear"
    #expect(
      outcome.body == """
        %x.q: u8[1, 1, 2, 2] = \(q)(%x, %x.scale, %x.zero_point)
        %x.dq: f32[1, 1, 2, 2] = \(dq)(%x.q, %x.scale, %x.zero_point)
        %a: f32[1, 1, 2, 2] = conv(%x.dq, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], activation = "relu"}
        %a.q: u8[1, 1, 2, 2] = \(q)(%a, %a.scale, %a.zero_point)
        %a.dq: f32[1, 1, 2, 2] = \(dq)(%a.q, %a.scale, %a.zero_point)
        %b: f32[1, 1, 2, 2] = conv(%a.dq, %w) \(conv)
        %b.q: u8[1, 1, 2, 2] = \(q)(%b, %b.scale, %b.zero_point)
        %b.dq: f32[1, 1, 2, 2] = \(dq)(%b.q, %b.scale, %b.zero_point)
        %s: f32[1, 1, 2, 2] = add(%b.dq, %a.dq)
        %r: f32[1, 1, 2, 2] = relu(%s)
        %r.q: u8[1, 1, 2, 2] = \(q)(%r, %r.scale, %r.zero_point)
        %r.dq: f32[1, 1, 2, 2] = \(dq)(%r.q, %r.scale, %r.zero_point)
        %p: f32[1, 1, 2, 2] = max_pool(%r.dq) {kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
        %p.q: u8[1, 1, 2, 2] = \(q)(%p, %r.scale, %r.zero_point)
        %p.dq: f32[1, 1, 2, 2] = \(dq)(%p.q, %r.scale, %r.zero_point)
        %g: f32[1, 1, 1, 1] = global_average_pool(%p.dq)
        %g.q: u8[1, 1, 1, 1] = \(q)(%g, %g.scale, %g.zero_point)
        %g.dq: f32[1, 1, 1, 1] = \(dq)(%g.q, %g.scale, %g.zero_point)
        %f: f32[1, 1] = flatten(%g.dq)
        %f.q: u8[1, 1] = \(q)(%f, %g.scale, %g.zero_point)
        %f.dq: f32[1, 1] = \(dq)(%f.q, %g.scale, %g.zero_point)
        %y: f32[1, 1] = gemm(%f.dq, %v)
        %z: f32[1, 1] = softmax(%y)
        output %z
        """
    )
    #expect(outcome.floats("x.scale") == [1])
    #expect(outcome.floats("x.zero_point") == [0])
  }

  @Test("what leads to an output only stays float, and so does the last layer's result")
  func tail() throws {
    let text = """
      graph @net {
        input %x: f32[1, 1, 2, 2]
        const %w: f32[1, 1, 1, 1] = [5]
        %a: f32[1, 1, 2, 2] = conv(%x, %w) \(conv)
        %g: f32[1, 1, 1, 1] = global_average_pool(%a)
        output %g
      }
      """
    #expect(try observed(text) == ["x"])
  }

  @Test("operands of a concatenation share its range, so that joining copies bytes")
  func concat() throws {
    let text = """
      graph @net {
        input %x: f32[1, 1, 2, 2]
        const %w: f32[1, 1, 1, 1] = [5]
        const %v: f32[1, 3, 1, 1] = [5, 6, 7]
        %a: f32[1, 1, 2, 2] = conv(%x, %w) \(conv)
        %b: f32[1, 1, 2, 2] = conv(%x, %w) \(conv)
        %j: f32[1, 3, 2, 2] = concat(%a, %b, %a) {axis = 1}
        %y: f32[1, 1, 2, 2] = conv(%j, %v) \(conv)
        output %y
      }
      """
    #expect(try observed(text) == ["x", "a", "j"])
    let outcome = try run(
      .insertQuantStubs,
      text,
      context: calibrated(["x", "a", "j"]),
      isIdempotent: false
    )
    #expect(outcome.body.contains("%b.q: u8[1, 1, 2, 2] = quantize_linear(%b, %j.scale, %j.zero_point)"))
    #expect(outcome.body.contains("concat(%a.dq, %b.dq, %a.dq)"))
  }

  @Test("squeeze-and-excitation flows in integers, with a table for the gate")
  func excitation() throws {
    let text = """
      graph @net {
        input %x: f32[1, 1, 2, 2]
        const %w: f32[1, 1, 1, 1] = [5]
        const %six: f32[] = 6
        %a: f32[1, 1, 2, 2] = conv(%x, %w) \(conv)
        %h: f32[1, 1, 2, 2] = hard_swish(%a)
        %n: f32[1, 1, 2, 2] = mul(%h, %six)
        %g: f32[1, 1, 1, 1] = global_average_pool(%n)
        %f: f32[1, 1, 1, 1] = conv(%g, %w) \(conv)
        %s: f32[1, 1, 1, 1] = sigmoid(%f)
        %m: f32[1, 1, 2, 2] = mul(%n, %s)
        %y: f32[1, 1, 2, 2] = conv(%m, %w) \(conv)
        output %y
      }
      """
    #expect(try observed(text) == ["x", "a", "h", "n", "g", "f", "s", "m"])
  }

  @Test("an operator that has no integer form interrupts the integers, but nothing is quantized for nothing")
  func interruption() throws {
    let text = """
      graph @net {
        input %x: f32[1, 1, 2, 2]
        input %u: f32[1, 1, 2, 2]
        const %w: f32[1, 1, 1, 1] = [5]
        %a: f32[1, 1, 2, 2] = conv(%x, %w) \(conv)
        %s: f32[1, 1, 2, 2] = softmax(%a)
        %t: f32[1, 1, 2, 2] = add(%s, %a)
        %y: f32[1, 1, 2, 2] = conv(%t, %w) \(conv)
        output %y
      }
      """
    #expect(try observed(text) == ["x", "t"])
  }

  @Test("a float user of an integer operator reads the dequantized value, of a float one the value itself")
  func mixedUsers() throws {
    let text = """
      graph @net {
        input %x: f32[1, 1, 2, 2]
        const %w: f32[1, 1, 1, 1] = [5]
        %a: f32[1, 1, 2, 2] = conv(%x, %w) \(conv)
        %y: f32[1, 1, 2, 2] = conv(%a, %w) \(conv)
        %e: f32[1, 1, 2, 2] = exp(%a)
        %d: f32[1, 1, 2, 2] = exp(%x)
        output %y
        output %e
        output %d
        output %a
      }
      """
    let outcome = try run(.insertQuantStubs, text, context: calibrated(["x", "a"]), isIdempotent: false)
    #expect(outcome.body.contains("%d: f32[1, 1, 2, 2] = exp(%x)"))
    #expect(outcome.body.contains("%e: f32[1, 1, 2, 2] = exp(%a)"))
    #expect(outcome.body.contains("%a.float: f32[1, 1, 2, 2] = conv(%x.dq, %w)"))
    #expect(
      outcome.body.contains("%a.q: u8[1, 1, 2, 2] = quantize_linear(%a.float, %a.scale, %a.zero_point)")
    )
    #expect(outcome.body.contains("%a: f32[1, 1, 2, 2] = dequantize_linear(%a.q, %a.scale, %a.zero_point)"))
  }

  @Test("operators that stay float are remarked, with the reason")
  func excluded() throws {
    let text = """
      graph @net {
        input %x: f32[1, 2]
        input %w: f32[2, 2]
        const %v: f32[2, 2] = [1, 2, 3, 4]
        %a: f32[1, 2] = gemm(%x, %w)
        %y: f32[1, 2] = gemm(%a, %v) {alpha = 2}
        output %y
      }
      """
    let outcome = try run(.insertQuantStubs, text, context: calibrated([]))
    #expect(!outcome.changed)
    #expect(
      outcome.remarks.map(\.text) == [
        "the weight is not an f32 constant", "alpha, beta or a transposed operand scales or turns the data",
      ]
    )
  }

  @Test("missing calibration, and a value it does not know, are refused by name")
  func uncalibrated() throws {
    let none = #expect(throws: Refusal.self) { try run(.insertQuantStubs, Self.residual) }
    #expect(none?.rule == "K7")
    let partial = #expect(throws: Refusal.self) {
      try run(.insertQuantStubs, Self.residual, context: calibrated(["x", "a"]))
    }
    #expect(partial?.place.contains("\"b\"") == true)
  }

  @Test("how far a swapped ReLU6 went beyond 6 is reported")
  func relu6() throws {
    var context = try calibrated(["x", "a", "b", "r", "g"])
    context.swappedRelu6 = ["a"]
    let outcome = try run(.insertQuantStubs, Self.residual, context: context, isIdempotent: false)
    #expect(outcome.remarks.map(\.text) == ["reached 255.0 in calibration where ReLU6 would have cut at 6"])
  }
}

@Suite("ClampRelu6")
struct ClampRelu6Tests {
  private func clamped(scale: Float, zeroPoint: Int, policy: Relu6Policy = .clamp) throws -> Outcome {
    try run(
      .clampRelu6,
      """
      graph @net {
        input %x: f32[1, 1, 2, 2]
        const %w: f32[1, 1, 1, 1] = [5]
        const %s: f32[] = \(scale)
        const %z: u8[] = \(zeroPoint)
        %a: f32[1, 1, 2, 2] = conv(%x, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], activation = "clip", activation_params = [0, 6]}
        %q: u8[1, 1, 2, 2] = quantize_linear(%a, %s, %z)
        output %q
      }
      """,
      context: PassContext(options: PassOptions(relu6: policy))
    )
  }

  @Test("relu takes its place where saturation does the same")
  func exact() throws {
    let outcome = try clamped(scale: 6 / 255, zeroPoint: 0)
    #expect(outcome.body.contains(#"activation = "relu"}"#))
    #expect(try clamped(scale: 0.01, zeroPoint: 10).changed)
  }

  @Test("a range beyond 6, and the other policies, keep it")
  func kept() throws {
    let outcome = try clamped(scale: 0.03, zeroPoint: 0)
    #expect(!outcome.changed)
    #expect(outcome.remarks.count == 1)
    #expect(try !clamped(scale: 6 / 255, zeroPoint: 0, policy: .keep).changed)
  }

  @Test("another user than the quantizer keeps it")
  func otherUser() throws {
    let outcome = try run(
      .clampRelu6,
      """
      graph @net {
        input %x: f32[2]
        const %s: f32[] = 0.01
        const %z: u8[] = 0
        %a: f32[2] = clip(%x) {min = 0, max = 6}
        %q: u8[2] = quantize_linear(%a, %s, %z)
        output %q
        output %a
      }
      """
    )
    #expect(!outcome.changed)
  }
}

@Suite("InsertDynamicQuant")
struct InsertDynamicQuantTests {
  @Test("one quantizer serves all linear users; others keep the float value")
  func shared() throws {
    let outcome = try run(
      .insertDynamicQuant,
      """
      graph @net {
        input %x: f32[1, 1, 2, 2]
        const %w: f32[1, 1, 1, 1] = [5]
        const %b: f32[1] = [5]
        %a: f32[1, 1, 2, 2] = conv(%x, %w, %b) \(conv)
        %c: f32[1, 1, 2, 2] = conv(%x, %w) \(conv)
        %r: f32[1, 1, 2, 2] = relu(%x)
        output %a
        output %c
        output %r
      }
      """,
      isIdempotent: false
    )
    #expect(
      outcome.body == """
        %x.q: u8[1, 1, 2, 2], %x.scale: f32[], %x.zero_point: u8[] = dynamic_quantize(%x)
        %x.dq: f32[1, 1, 2, 2] = dequantize_linear(%x.q, %x.scale, %x.zero_point)
        %a: f32[1, 1, 2, 2] = conv(%x.dq, %w, %b) \(conv)
        %c: f32[1, 1, 2, 2] = conv(%x.dq, %w) \(conv)
        %r: f32[1, 1, 2, 2] = relu(%x)
        output %a
        output %c
        output %r
        """
    )
  }
}

@Suite("QuantizeWeights")
struct QuantizeWeightsTests {
  private func quantized(
    _ nodes: String,
    weight: String,
    input: String = "f32[1, 2]",
    _ granularity: WeightGranularity = .perChannel
  ) throws -> Outcome {
    try run(
      .quantizeWeights,
      """
      graph @net {
        input %x: \(input)
        const %w: \(weight)
        \(nodes)
        output %y
      }
      """,
      context: PassContext(options: PassOptions(granularity: granularity))
    )
  }

  @Test(
    "each operator has its channels where its weight has them",
    arguments: [
      ("%y: f32[1, 2] = gemm(%x, %w)", "f32[2, 2] = [127, 2, 3, 254]", 1, [1, 2], [127, 1, 3, 127]),
      (
        "%y: f32[1, 2] = gemm(%x, %w) {trans_b = 1}", "f32[2, 2] = [127, 2, 3, 254]", 0, [1, 2],
        [127, 2, 2, 127]
      ),
      ("%y: f32[1, 2] = matmul(%x, %w)", "f32[2, 2] = [127, 2, 3, 254]", 1, [1, 2], [127, 1, 3, 127]),
    ] as [(String, String, Int, [Float], [Float])]
  )
  func axes(nodes: String, weight: String, axis: Int, scales: [Float], values: [Float]) throws {
    let outcome = try quantized(nodes, weight: weight)
    #expect(outcome.body.contains("%w.dq: f32[2, 2] = dequantize_linear(%w, %w.scale) {axis = \(axis)}"))
    #expect(outcome.floats("w.scale") == scales)
    // 1.5 rounds to the even 2.
    #expect(outcome.floats("w") == values)
    #expect(outcome.graph.value(named: "w").map { outcome.graph[$0].type.dtype } == .int8)
  }

  @Test("depthwise convolutions have one scale per channel, transposed ones on the second axis")
  func convolutions() throws {
    let depthwise = try quantized(
      "%y: f32[1, 2, 1, 1] = conv(%x, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], group = 2}",
      weight: "f32[2, 1, 1, 1] = [127, 254]",
      input: "f32[1, 2, 1, 1]"
    )
    #expect(depthwise.floats("w.scale") == [1, 2])
    for (group, shape, scales) in [(1, "2, 2, 1, 1", [1, 2]), (2, "2, 1, 1, 2", [2])]
      as [(Int, String, [Float])]
    {
      let outcome = try quantized(
        "%y: f32[1, 2, 1, ?] = conv_transpose(%x, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], group = \(group), output_padding = [0, 0]}",
        weight: "f32[\(shape)] = [127, 2, 3, 254]",
        input: "f32[1, 2, 1, 1]"
      )
      #expect(outcome.floats("w.scale") == scales)
    }
  }

  @Test("per tensor there is one scalar scale")
  func perTensor() throws {
    let outcome = try quantized(
      "%y: f32[1, 2] = gemm(%x, %w)",
      weight: "f32[2, 2] = [127, 2, 3, 254]",
      .perTensor
    )
    #expect(outcome.body.contains("%w.dq: f32[2, 2] = dequantize_linear(%w, %w.scale)\n"))
    #expect(outcome.floats("w.scale") == [2])
  }

  @Test("a shared weight is stored once, with one scale where its users disagree about the axis")
  func shared() throws {
    let agreed = try quantized(
      "%a: f32[1, 2] = gemm(%x, %w)\n%y: f32[1, 2] = gemm(%a, %w)",
      weight: "f32[2, 2] = [127, 2, 3, 254]"
    )
    #expect(agreed.operators == ["dequantize_linear", "gemm", "gemm"])
    #expect(agreed.floats("w.scale") == [1, 2])
    let disagreed = try quantized(
      "%a: f32[1, 2] = gemm(%x, %w)\n%y: f32[1, 2] = gemm(%a, %w) {trans_b = 1}",
      weight: "f32[2, 2] = [127, 2, 3, 254]"
    )
    #expect(disagreed.floats("w.scale") == [2])
    #expect(disagreed.remarks.count == 1)
  }

  @Test("a constant that is not only a weight stays float")
  func otherUse() throws {
    let outcome = try quantized(
      "%a: f32[1, 2] = gemm(%x, %w)\n%y: f32[2, 2] = add(%a, %w)",
      weight: "f32[2, 2] = [127, 2, 3, 254]"
    )
    #expect(!outcome.changed)
    #expect(outcome.remarks.count == 1)
  }

  @Test("NaN and infinity are refused by the constant's name", arguments: ["nan", "inf"])
  func nonFinite(value: String) throws {
    let refusal = #expect(throws: Refusal.self) {
      try quantized("%y: f32[1, 2] = gemm(%x, %w)", weight: "f32[2, 2] = [127, 2, 3, \(value)]")
    }
    #expect(refusal?.rule == "O36")
    #expect(refusal?.description.contains("constant \"w\"") == true)
  }
}

@Suite("QuantizeBias")
struct QuantizeBiasTests {
  /// A nearly dead channel: its weight alone would need a scale at which the bias overflows.
  static let text = """
    graph @net {
      input %x: f32[1, 1, 2, 2]
      const %w: f32[2, 1, 1, 1] = [127, 1e-30]
      const %b: f32[2] = [-3, 5]
      %a: f32[1, 2, 2, 2] = conv(%x, %w, %b) \(conv)
      %y: f32[1, 2, 2, 2] = softmax(%a)
      output %y
    }
    """

  @Test("a bias is i32 at the scale of input times weight, and a nearly dead channel cannot make it overflow")
  func quantized() throws {
    for granularity in WeightGranularity.allCases {
      var graph = try parse(Self.text)
      var context = try calibrated(["x"], PassOptions(granularity: granularity))
      try PassManager().run(Pipelines.quantize(context.options), on: &graph, &context)
      let outcome = Outcome(graph: graph, changed: true, remarks: context.remarks)
      #expect(
        outcome.operators == [
          "quantize_linear", "dequantize_linear", "dequantize_linear", "dequantize_bias", "conv", "softmax",
        ]
      )
      let scales = try #require(outcome.floats("w.scale"))
      let bias = try #require(outcome.floats("b"))
      #expect(graph.value(named: "b").map { graph[$0].type.dtype } == .int32)
      #expect(bias[0] == -3)
      #expect(abs(bias[1] * (scales.last ?? 0) - 5) < 1e-3)
      #expect(
        context.remarks.map(\.text)
          == (granularity == .perTensor ? [] : ["1 nearly dead channels got a larger scale (K1, K4)"])
      )
    }
  }

  @Test("a bias shared by two operators becomes two integers, one per scale")
  func shared() throws {
    var graph = try parse(
      """
      graph @net {
        input %x: f32[1, 1, 2, 2]
        const %w: f32[1, 1, 1, 1] = [127]
        const %b: f32[1] = [12]
        %a: f32[1, 1, 2, 2] = conv(%x, %w, %b) \(conv)
        %y: f32[1, 1, 2, 2] = conv(%a, %w, %b) \(conv)
        output %y
      }
      """
    )
    var ranges = ActivationRanges()
    try ranges.set(.init(name: "x", low: 0, high: 255, samples: 1))
    try ranges.set(.init(name: "a", low: 0, high: 510, samples: 1))
    var context = PassContext(ranges: ranges)
    try PassManager().run(Pipelines.quantize(context.options), on: &graph, &context)
    let outcome = Outcome(graph: graph, changed: true, remarks: context.remarks)
    #expect(outcome.floats("b.i32") == [12])
    #expect(outcome.floats("b") == [6])
  }

  @Test("without quantized data the bias stays f32")
  func dynamic() throws {
    var graph = try parse(Self.text)
    var context = PassContext(options: PassOptions(activations: .dynamic))
    try PassManager().run(Pipelines.quantize(context.options), on: &graph, &context)
    #expect(graph.value(named: "b").map { graph[$0].type.dtype } == .float32)
    #expect(try !run(.quantizeBias, graph).changed)
  }
}

@Suite("ConvertToFp16")
struct ConvertToFp16Tests {
  @Test("operands of linear operators become f16; what would overflow stays, with a remark")
  func converts() throws {
    let outcome = try run(
      .convertToFp16,
      """
      graph @net {
        input %x: f32[1, 2]
        const %w: f32[2, 2] = [1, 0.1, 1e-7, 4]
        const %v: f32[2, 2] = [1, 2, 3, 1e5]
        const %b: f32[2] = [1, 2]
        const %two: f32[] = 2
        %a: f32[1, 2] = gemm(%x, %w, %b)
        %m: f32[1, 2] = mul(%a, %two)
        %y: f32[1, 2] = gemm(%m, %v)
        output %y
      }
      """,
      context: PassContext(options: PassOptions(scheme: .fp16))
    )
    #expect(outcome.body.contains(#"%w.f32: f32[2, 2] = cast(%w) {to = "f32"}"#))
    #expect(outcome.body.contains("%a: f32[1, 2] = gemm(%x, %w.f32, %b.f32)"))
    #expect(outcome.body.contains("gemm(%m, %v)"))
    #expect(outcome.remarks.map(\.kind) == [.applied, .warning])
  }
}
