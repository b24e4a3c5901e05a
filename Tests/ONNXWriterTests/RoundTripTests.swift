import BinaryIO
import GraphIR
import ONNXReader
import Runtime
import TestSupport
import Testing

@testable import ONNXWriter

/// What is written reads back as a network with the same results.
@Suite("ONNX files give what the graph gives") struct RoundTripTests {
  @Test("every operator case")
  func operatorCases() throws {
    let path = "\(packageFolder())/Tests/RuntimeTests/Fixtures/operator-cases.qir"
    let text = String(decoding: try readFile(path), as: UTF8.self)
    var seen: Set<String> = []
    for item in text.split(separator: "\n----\n") {
      var graph = try GraphParser.parse(String(item))
      // The answers of the fixture stand as constants that nobody uses.
      graph.removeUnused()
      seen.insert(graph[graph.order[0]].op.name)
      try check(graph)
    }
    #expect(seen.count > 65)
  }

  @Test(
    "fused activations",
    arguments: [
      "activation = \"relu\"", "activation = \"clip\", activation_params = [-1, 1]",
      "activation = \"clip\", activation_params = [0, inf]", "activation = \"sigmoid\"",
      "activation = \"hard_sigmoid\", activation_params = [0.3, 0.4]", "activation = \"hard_swish\"",
      "activation = \"silu\"", "activation = \"leaky_relu\", activation_params = [0.1]",
    ]
  )
  func activations(_ activation: String) throws {
    try check(
      """
      graph @activations {
        input %x: f32[n, 3]
        const %w: f32[2, 3] = [1, -2, 3, -4, 5, -6]
        const %b: f32[2] = [0.5, -0.5]
        %y: f32[n, 2] = gemm(%x, %w, %b) {trans_b = 1, \(activation)}
        output %y
      }
      """,
      ["x": [2, 3]]
    )
  }

  @Test("a gemm of more than two axes, with factors and a dequantized weight")
  func wideGemm() throws {
    try check(
      """
      graph @gemm {
        input %x: f32[n, 2, 3]
        const %q: i8[2, 3] = [1, -2, 3, -4, 5, -6]
        const %s: f32[2] = [0.5, 0.25]
        const %z: i8[2] = [0, 0]
        const %b: f32[2] = [0.5, -0.5]
        %w: f32[2, 3] = dequantize_linear(%q, %s, %z) {axis = 0}
        %y: f32[n, 2, 2] = gemm(%x, %w, %b) {alpha = 2, beta = 0.5, trans_b = 1, activation = "relu"}
        %v: f32[n, 2, 2] = gemm(%x, %w) {alpha = 2, trans_b = 1}
        %u: f32[n, 2, 2] = gemm(%x, %w) {trans_b = 1}
        output %y
        output %v
        output %u
      }
      """,
      ["x": [2, 2, 3]]
    )
  }

  @Test("ranges per tensor and per row, and a bias whose scale follows")
  func dynamic() throws {
    try check(
      """
      graph @dynamic {
        input %x: f32[n, 2, 3]
        const %q: i8[2, 3] = [1, -2, 3, -4, 5, -6]
        const %s: f32[2] = [0.5, 0.25]
        const %b: i32[2] = [7, -9]
        %w: f32[2, 3] = dequantize_linear(%q, %s) {axis = 0}
        %xq: u8[n, 2, 3], %xs: f32[], %xz: u8[] = dynamic_quantize(%x)
        %xd: f32[n, 2, 3] = dequantize_linear(%xq, %xs, %xz)
        %bd: f32[2] = dequantize_bias(%b, %xs, %s)
        %y: f32[n, 2, 2] = gemm(%xd, %w, %bd) {trans_b = 1}
        %rq: u8[n, 2, 3], %rs: f32[n, 2, 1], %rz: u8[n, 2, 1] = dynamic_quantize(%x) {per_row = 1}
        %rd: f32[n, 2, 3] = dequantize_linear(%rq, %rs, %rz)
        output %y
        output %rd
      }
      """,
      ["x": [2, 2, 3]]
    )
  }

  @Test("weights in blocks of 2 to 8 bits", arguments: 2...8, [false, true])
  func blocks(bits: Int, isTransposed: Bool) throws {
    var random = SplitMix64(seed: UInt64(bits))
    let depth = 37
    let rowBytes = (depth * bits + 7) / 8
    // Bits behind the last number are 0.
    let last = UInt8(truncatingIfNeeded: 0xFF >> (rowBytes * 8 - depth * bits))
    let packed = (0..<3 * rowBytes).map { index in
      UInt8(random.int(0...255)) & (index % rowBytes == rowBytes - 1 ? last : 0xFF)
    }
    var graph = Graph(name: "blocks of \(bits) bits")
    let x = graph.addInput("x", TensorType(.float32, known: isTransposed ? [2, depth] : [2, 3]))
    let q = graph.addConstant("q", try .make(.uint8, [3, rowBytes], packed))
    let scales = (0..<9).map { _ in Float16(random.float(0.1...1)) }
    let scale = graph.addConstant("scale", try .make(.float16, [3, 3], scales))
    let op = DequantizeBlocks(bits: bits, block: 16, depth: depth, isTransposed: isTransposed)
    let w = try graph.addNode(.dequantizeBlocks(op), inputs: [q, scale], outputNames: ["w"])
    let y = try graph.addNode(.gemm(Gemm()), inputs: [x, graph[w].outputs[0]], outputNames: ["y"])
    graph.addOutput(graph[y].outputs[0])
    try check(graph, ["x": try random.floats(isTransposed ? [2, depth] : [2, 3])])
    let read = try roundTrip(graph)
    #expect(read.order.contains { if case .dequantizeBlocks = read[$0].op { true } else { false } })
  }

  @Test("an input and a constant as outputs")
  func outputs() throws {
    try check(
      """
      graph @outputs {
        input %x: f32[2]
        const %c: f32[2] = [1, 2]
        %y: f32[2] = add(%x, %c)
        output %x
        output %c
        output %y
      }
      """,
      ["x": [2]]
    )
  }

  @Test("metadata of the tool and of other programs")
  func metadata() throws {
    var graph = try GraphParser.parse(
      "graph @m {\n input %x: f32[2]\n %y: f32[2] = relu(%x)\n output %y\n}"
    )
    graph.metadata = ["onnx.author": "me", MetadataKey.scheme: "int8", MetadataKey.source: "onnx opset 7"]
    let read = try roundTrip(graph)
    #expect(
      read.metadata == [
        "onnx.author": "me", MetadataKey.scheme: "int8", MetadataKey.source: "onnx opset 21",
        MetadataKey.producer: "qconvert",
      ]
    )
  }

  @Test("tensors that are too large for a message lie in a file beside it")
  func external() throws {
    var random = SplitMix64(seed: 11)
    var graph = Graph(name: "external")
    let x = graph.addInput("x", TensorType(.float32, known: [1, 30]))
    let w = graph.addConstant("w", try random.floats([30, 30]))
    let b = graph.addConstant("b", try .floats([Float](repeating: 0.5, count: 30)))
    let node = try graph.addNode(.gemm(Gemm()), inputs: [x, w, b], outputNames: ["y"])
    graph.addOutput(graph[node].outputs[0])
    try withTemporaryFolder { folder in
      try ONNXWriter.write(graph, to: "\(folder)/net.onnx", largestMessage: 1_000) { _ in }
      #expect(try readFile("\(folder)/net.onnx").count < 1_000)
      #expect(try readFile("\(folder)/net.onnx.data").count == 3_600)
      let read = try ONNXReader.read("\(folder)/net.onnx")
      let inputs = ["x": try random.floats([1, 30])]
      try expectSame(run(read, inputs), run(graph, inputs), "external")
    }
  }

  @Test("a recurrence with a state in integers is refused")
  func dynamicRecurrence() throws {
    let graph = try GraphParser.parse(
      """
      graph @lstm {
        input %g: f32[2, 1, 8]
        const %r: f32[8, 2] = [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8]
        %y: f32[2, 1, 1, 2], %h: f32[1, 1, 2], %c: f32[1, 1, 2] = lstm(%g, %r) {dynamic = 1}
        output %y
      }
      """
    )
    try withTemporaryFolder { folder in
      do throws(Refusal) {
        try ONNXWriter.write(graph, to: "\(folder)/net.onnx") { _ in }
        Issue.record("it was written")
      } catch {
        #expect(error.rule == "X1")
        #expect(error.description.contains("(lstm)"))
      }
    }
  }

  // Checks

  private func check(_ text: String, _ shapes: [String: [Int]]) throws {
    var random = SplitMix64(seed: 7)
    var inputs: [String: Tensor] = [:]
    for (name, shape) in shapes { inputs[name] = try random.floats(shape, in: -2...2) }
    try check(GraphParser.parse(text), inputs)
  }

  private func check(_ graph: Graph, _ inputs: [String: Tensor] = [:]) throws {
    do {
      try expectSame(run(roundTrip(graph), inputs), run(graph, inputs), graph.name)
    } catch let error as Refusal { Issue.record("\(graph.name): \(error)") }
  }

  private func roundTrip(_ graph: Graph) throws -> Graph {
    try withTemporaryFolder { folder in
      try ONNXWriter.write(graph, to: "\(folder)/net.onnx") { _ in }
      return try ONNXReader.read("\(folder)/net.onnx")
    }
  }

  private func run(_ graph: Graph, _ inputs: [String: Tensor]) throws -> [Tensor] {
    let session = try Session(graph, options: SessionOptions(executor: .reference))
    let results = try session.run(inputs)
    return graph.outputs.compactMap { results[graph[$0].name] }
  }

  private func expectSame(_ found: [Tensor], _ expected: [Tensor], _ name: String) {
    #expect(found.count == expected.count, "\(name)")
    for (a, b) in zip(found, expected) {
      #expect(a.type == b.type, "\(name)")
      #expect(isClose(a, b), "\(name): \(a) instead of \(b)")
    }
  }

  /// Equal integers; floats within a few units in the last place, since a function may be written as two.
  private func isClose(_ a: Tensor, _ b: Tensor) -> Bool {
    guard a.dtype.isFloatingPoint, let x = a.floatValues(), let y = b.floatValues() else {
      return a.bytes.withBytes { first in
        b.bytes.withBytes { second in
          first.byteCount == second.byteCount
            && (0..<first.byteCount).allSatisfy { first.byte($0) == second.byte($0) }
        }
      }
    }
    return zip(x, y).allSatisfy { p, q in
      p == q || (p.isNaN && q.isNaN) || (p - q).magnitude <= 1e-6 * max(1, q.magnitude)
    }
  }
}
