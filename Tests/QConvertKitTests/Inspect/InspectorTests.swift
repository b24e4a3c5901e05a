import BinaryIO
import Foundation
import GraphIR
import QModelFormat
import Runtime
import Safetensors
import TestSupport
import Testing

@testable import QConvertKit

/// A static int8 convolution, a residual float addition and a pooling.
private func quantizedGraph() throws -> Graph {
  var random = SplitMix64(seed: 21)
  var graph = Graph(name: "net")
  graph.metadata[MetadataKey.passes] = "fold-batch-norm,quantize-weights"
  let x = graph.addInput("x", TensorType(.float32, [.symbol("n"), 4, 6, 6]))
  func scalar(_ name: String, _ value: Float) throws -> ValueID {
    graph.addConstant(name, try Tensor.floats([value], []))
  }
  func zero(_ name: String) throws -> ValueID {
    graph.addConstant(name, try Tensor.make(.uint8, [], [UInt8(3)]))
  }
  let (xs, xz) = (try scalar("xs", 0.1), try zero("xz"))
  let (ys, yz) = (try scalar("ys", 0.2), try zero("yz"))
  func node(_ op: Op, _ inputs: [ValueID?], _ name: String) throws -> ValueID {
    let id = try graph.addNode(op, inputs: inputs, outputNames: [name])
    return graph[id].outputs[0]
  }
  let xq = try node(.quantizeLinear(QuantizeLinear()), [x, xs, xz], "xq")
  let xd = try node(.dequantizeLinear(DequantizeLinear()), [xq, xs, xz], "xd")
  let w = graph.addConstant("w", try random.ints(.int8, [8, 4, 3, 3], in: -127...127))
  let ws = graph.addConstant("ws", try random.floats([8], in: 0.01...0.1))
  let b = graph.addConstant("b", try random.ints(.int32, [8], in: -99...99))
  let wd = try node(.dequantizeLinear(DequantizeLinear(axis: 0)), [w, ws], "wd")
  let bd = try node(.dequantizeBias(DequantizeBias()), [b, xs, ws], "bd")
  let conv = Conv(strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1], activation: .relu)
  let y = try node(.conv(conv), [xd, wd, bd], "y")
  let yq = try node(.quantizeLinear(QuantizeLinear()), [y, ys, yz], "yq")
  let yd = try node(.dequantizeLinear(DequantizeLinear()), [yq, ys, yz], "yd")
  graph.addOutput(try node(.unary(Unary(.sigmoid)), [yd], "out"))
  return graph
}

private func inspect(_ graph: Graph, compress: Bool = false) throws -> InspectReport {
  try withTemporaryFolder { folder in
    let path = "\(folder)/m.qmodel"
    try QModelWriter.write(graph, to: path, options: QModelWriterOptions(compress: compress))
    return try QConvert.inspect(path)
  }
}

@Suite struct InspectorTests {
  @Test("constants are told apart by what they are for")
  func roles() throws {
    let report = try inspect(quantizedGraph())
    let roles = Dictionary(grouping: report.tensors, by: \.role).mapValues { $0.map(\.name).sorted() }
    #expect(
      roles == [
        "weight": ["w"], "bias": ["b"], "weight scale": ["ws"], "activation scale": ["xs", "xz", "ys", "yz"],
      ]
    )
    #expect(report.payloadBytes == 288 + 32 + 32)
    #expect(report.activationQparamsBytes == 10)
    #expect(report.parameters == 296)
    #expect(report.fp32Bytes == 4 * 296)
    #expect(report.residentBytes == 352 + 10)
    #expect(report.passes == ["fold-batch-norm", "quantize-weights"])
  }

  @Test("nodes are told apart by their arithmetic, with a reason")
  func arithmetic() throws {
    let report = try inspect(quantizedGraph())
    #expect(report.quantizedOps == 1)
    #expect(report.floatOps == 0)
    #expect(report.ops["conv"]?.int8 == 1)
    #expect(report.ops["conv"]?.weightBytes == 352)
    #expect(report.ops["sigmoid"]?.float == 1)
    #expect(report.ops["sigmoid"]?.reasons == ["its result is used as float": 1])
    #expect(report.ops["dequantize_linear"]?.other == 3)
  }

  @Test("a residual addition and its activation count as int8 where the interpreter runs them so")
  func residual() throws {
    let graph = try GraphParser.parse(
      """
      graph @residual {
        input %a: u8[1, 4]
        input %b: u8[1, 4]
        const %s: f32[] = 0.5
        const %z: u8[] = 3
        %x: f32[1, 4] = dequantize_linear(%a, %s, %z)
        %y: f32[1, 4] = dequantize_linear(%b, %s, %z)
        %sum: f32[1, 4] = add(%x, %y)
        %relu: f32[1, 4] = relu(%sum)
        %q: u8[1, 4] = quantize_linear(%relu, %s, %z)
        output %q
      }
      """
    )
    var apart = graph
    apart.addOutput(try #require(graph.value(named: "sum")))
    #expect(try inspect(graph).ops["add"]?.int8 == 1)
    #expect(try inspect(graph).ops["relu"]?.int8 == 1)
    #expect(try inspect(apart).ops["add"]?.int8 == 0)
  }

  @Test("every byte of a .qmodel is accounted for", arguments: [false, true])
  func qmodelAccounting(compress: Bool) throws {
    let report = try inspect(quantizedGraph(), compress: compress)
    #expect(report.accounting.map(\.bytes).reduce(0, +) == report.fileBytes)
    #expect(report.accounting.map(\.name) == ["header", "index", "graph", "metadata", "tensors", "padding"])
    #expect(report.dtypes.map(\.bytes).reduce(0, +) == report.residentBytes)
    #expect(report.dtypes.map(\.storedBytes).reduce(0, +) == report.storedBytes)
    #expect(report.format == "qmodel 1.0")
  }

  @Test("every byte of the sample is accounted for", arguments: ["digits.onnx", "digits.safetensors"])
  func sampleAccounting(name: String) throws {
    let report = try QConvert.inspect("\(packageFolder())/samples/digits/\(name)")
    #expect(report.accounting.map(\.bytes).reduce(0, +) == report.fileBytes)
    #expect(report.fileBytes == (try readFile("\(packageFolder())/samples/digits/\(name)")).count)
    #expect(report.parameters > 1000)
    #expect(report.text.split(separator: "\n").allSatisfy { $0.count <= 100 }, "\(report.text)")
  }

  @Test("tensors of no known network are listed without one")
  func bareTensors() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/t.safetensors"
      var random = SplitMix64(seed: 4)
      var bytes: [UInt8] = []
      let tensors = [
        (name: "a", tensor: try random.floats([3, 5])), (name: "b", tensor: try random.floats([2])),
      ]
      try SafetensorsWriter.write(tensors) { (span) throws(Refusal) in
        for index in 0..<span.byteCount { bytes.append(span.byte(index) ?? 0) }
      }
      try write(bytes, to: path)
      let report = try QConvert.inspect(path)
      #expect(report.parameters == 17)
      #expect(report.payloadBytes == 68)
      #expect(report.accounting.map(\.bytes).reduce(0, +) == report.fileBytes)
      #expect(report.ops.isEmpty)
      #expect(report.peakActivationBytes == nil)
      #expect(report.notes.first?.contains("no known network") == true)
    }
  }

  @Test("the JSON keys that scripts rely on are there")
  func keys() throws {
    let data = try JSONEncoder().encode(try inspect(quantizedGraph()))
    let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    let promised = [
      "file_bytes", "stored_bytes", "payload_bytes", "resident_bytes", "fp32_bytes", "parameters",
      "peak_activation_bytes", "tensors", "ops",
    ]
    for key in promised { #expect(object[key] != nil, "\(key)") }
    #expect(object.keys.allSatisfy { $0 == $0.lowercased() })
  }

  @Test("a damaged file is refused, with its name")
  func damaged() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/m.qmodel"
      try QModelWriter.write(quantizedGraph(), to: path)
      var bytes = try readFile(path)
      bytes[bytes.count - 1] ^= 4
      try write(bytes, to: path)
      do {
        _ = try QConvert.inspect(path)
        Issue.record("accepted")
      } catch { #expect("\(error)".hasPrefix("\(path): section ")) }
    }
  }
}

@Suite struct ActivationMemoryTests {
  @Test("floats of an integer node are in registers")
  func quantized() throws {
    // The f32 input and its u8 form; the u8 forms of input and output; the f32 operand and result of the sigmoid.
    let (input, output) = (4 * 36, 8 * 36)
    #expect(
      Inspector.program(of: try quantizedGraph())?.peakActivationBytes
        == max(5 * input, input + output, output * (4 + 4))
    )
  }

  @Test("a value lives until its last user")
  func chain() throws {
    var graph = Graph(name: "")
    var values = [graph.addInput("x", TensorType(.float32, [.symbol("n"), 10]))]
    for index in 0..<3 {
      let id = try graph.addNode(.unary(Unary(.exp)), inputs: [values[index]], outputNames: ["v\(index)"])
      values.append(graph[id].outputs[0])
    }
    let sum = try graph.addNode(.binary(Binary(.add)), inputs: [values[1], values[3]], outputNames: ["sum"])
    graph.addOutput(graph[sum].outputs[0])
    #expect(Inspector.program(of: graph)?.peakActivationBytes == 3 * 40)
  }

  @Test("an unknown extent beyond the batch has no answer")
  func unknown() throws {
    var graph = Graph(name: "")
    let x = graph.addInput("x", TensorType(.float32, [.symbol("n"), .symbol("length")]))
    let id = try graph.addNode(.unary(Unary(.exp)), inputs: [x], outputNames: ["y"])
    graph.addOutput(graph[id].outputs[0])
    #expect(Inspector.program(of: graph)?.peakActivationBytes == nil)
  }
}

@Suite struct InspectTextTests {
  @Test(
    "sizes are given in both units",
    arguments: [
      (999, "999 bytes"), (1024, "1.02 kB (1.00 KiB)"), (3_614_208, "3.61 MB (3.45 MiB)"),
      (100_000, "0.10 MB (0.10 MiB)"),
    ]
  )
  func sizes(bytes: Int, text: String) {
    #expect(byteText(bytes) == text)
  }

  @Test(
    "digits are grouped",
    arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567")]
  )
  func groups(number: Int, text: String) {
    #expect(grouped(number) == text)
  }

  @Test("columns are aligned")
  func columns() {
    #expect(table([["a", "10", "x"], ["bbb", "5", ""]], indent: 1, right: [1]) == " a    10  x\n bbb   5")
  }
}
