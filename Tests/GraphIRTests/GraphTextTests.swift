import BinaryIO
import GraphIR
import TestSupport
import Testing

@Suite("Text form") struct GraphTextTests {
  static let network = """
    graph @mobilenet {
      meta source = "onnx opset 17"
      input %x: f32[batch, 3, 224, 224]
      const %w: f32[32, 3, 3, 3] = external
      const %table: f32[2, 2] = [1, -0.0, 0.1875, inf]
      const %"features.0/0": i64[] = 7
      %y: f32[batch, 32, 112, 112] = conv(%x, %w, _) {strides = [2, 2], pads = [1, 1, 1, 1], dilations = [1, 1], activation = "relu"} name "stem/conv"
      %q: u8[batch, 32, 112, 112], %s: f32[], %z: u8[] = dynamic_quantize(%y)
      %d: f32["batch size", ?, 112, 112] = dequantize_linear(%q, %s, %z)
      output %d
      output %"features.0/0"
    }

    """

  @Test("A network's text is printed as it was read")
  func roundTrip() throws {
    let weight = try Tensor.floats(Array(repeating: 0.5, count: 864), [32, 3, 3, 3])
    let graph = try GraphParser.parse(Self.network) { (name, type) throws(Refusal) in
      name == "w" && type.dtype == .float32 ? weight : nil
    }
    #expect(GraphPrinter.text(graph, constants: .small(4)) == Self.network)
    #expect(graph.value(named: "features.0/0").map { graph[$0].constant?.intValues() } == [7])
    let conv = graph[graph.order[0]]
    #expect(conv.inputs.count == 3 && conv.inputs[2] == nil)
    #expect(conv.name == "stem/conv")
    #expect(GraphPrinter.text(graph.order[0], of: graph).hasPrefix("%y: f32[batch, 32"))
  }

  @Test("Comments and line breaks mean nothing")
  func whiteSpace() throws {
    let text = "graph@g{input%x:f32[]// the only input\r\n%y:f32[]\n=relu(%x)output%y}"
    let graph = try GraphParser.parse(text)
    expectText(graph, equals: "graph @g {\n input %x: f32[]\n %y: f32[] = relu(%x)\n output %y\n}")
  }

  @Test("Numbers may be hexadecimal, and half-way decimals round to even")
  func numberForms() throws {
    let graph = try GraphParser.parse(
      """
      graph @g {
        const %a: f32[3] = [0x1.8p-3, 1e-45, 16777217]
        const %b: bf16[2] = [1.00390625, 1.01171875]
        output %a
      }
      """
    )
    let a = try #require(graph.value(named: "a").flatMap { graph[$0].constant?.elements(as: Float.self) })
    #expect(a == [0.1875, .leastNonzeroMagnitude, 16_777_216])
    let b = try #require(graph.value(named: "b").flatMap { graph[$0].constant?.floatValues() })
    #expect(b == [1, 1.015625])
  }

  @Test("Constants of every element type keep all bits", arguments: DType.allCases, [1, 2, 3])
  func everyBit(dtype: DType, seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    var graph = Graph(name: "g")
    for shape in [[], [0], [1], [2, 3], [300]] {
      let id = graph.addConstant("c", try random.bits(dtype, shape))
      graph.addOutput(id)
    }
    let text = GraphPrinter.text(graph, constants: .all)
    let parsed = try GraphParser.parse(text)
    #expect(GraphPrinter.text(parsed, constants: .all) == text)
    for (old, new) in zip(graph.outputs, parsed.outputs) {
      let (a, b) = (try #require(graph[old].constant), try #require(parsed[new].constant))
      #expect(a.shape == b.shape)
      #expect(bytes(a) == bytes(b))
    }
  }

  private func bytes(_ tensor: Tensor) -> [UInt8] {
    tensor.bytes.withBytes { span in (0..<span.byteCount).compactMap { span.byte($0) } }
  }

  @Test("Infinities and NaNs of every real type keep their bits")
  func specialReals() throws {
    let text = """
      graph @g {
        const %a: f32[5] = [inf, -inf, nan, nan(0xffc00000), nan(0x7f800001)]
        const %b: f16[5] = [inf, -inf, nan, nan(0xfe00), nan(0x7c01)]
        const %c: bf16[4] = [inf, -inf, nan, nan(0xffc0)]
        const %d: f64[4] = [inf, -inf, nan, nan(0xfff8000000000000)]
        output %a
      }
      """
    let graph = try GraphParser.parse(text)
    expectText(graph, equals: text)
    #expect(GraphValidator.nonFiniteConstants(graph).map(\.name) == ["a", "b", "c", "d"])
    #expect(GraphValidator.nonFiniteConstants(graph).map(\.count) == [5, 5, 4, 4])
  }

  @Test(
    "Any name survives",
    arguments: ["a b", "a\"b\\", "\n\t\r", "\u{1}\u{7F}\u{85}", "ünïcode 名前", "0", "_", "a.b"]
  )
  func names(name: String) throws {
    var graph = Graph(name: name)
    graph.metadata[name] = name
    let id = graph.addInput(name, TensorType(.float32, [.symbol(name)]))
    graph.addNode(
      .unary(Unary(.relu)),
      name: name,
      inputs: [id],
      outputNames: ["y"],
      outputTypes: [graph[id].type]
    )
    graph.addOutput(id)
    let text = GraphPrinter.text(graph, constants: .all)
    let parsed = try GraphParser.parse(text)
    #expect(GraphPrinter.text(parsed, constants: .all) == text)
    #expect(parsed.metadata == graph.metadata)
    #expect(parsed[parsed.inputs[0]].name == name)
    #expect(parsed[parsed.inputs[0]].type == graph[id].type)
    #expect(parsed[parsed.order[0]].name == name)
  }

  @Test("The size of what is printed follows the style")
  func styles() throws {
    var graph = Graph(name: "g")
    graph.addOutput(graph.addConstant("a", try .floats([1, 2])))
    graph.addOutput(graph.addConstant("b", try .floats([1, 2, 3])))
    #expect(GraphPrinter.text(graph, constants: .all).contains("[1, 2, 3]"))
    let small = GraphPrinter.text(graph, constants: .small(2))
    #expect(small.contains("[1, 2]") && small.contains("%b: f32[3] = external"))
    #expect(GraphPrinter.text(graph, constants: .external).contains("%a: f32[2] = external"))
  }

  @Test("A text of 5,000 nodes is read in linear time")
  func longText() throws {
    var text = "graph @g {\n input %v0: f32[1]\n"
    for index in 0..<5_000 { text += " %v\(index + 1): f32[1] = relu(%v\(index))\n" }
    text += " output %v5000\n}\n"
    let graph = try GraphParser.parse(text)
    #expect(graph.order.count == 5_000)
  }
}
