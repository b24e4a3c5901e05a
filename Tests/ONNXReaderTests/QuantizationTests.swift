import BinaryIO
import GraphIR
import Testing

@testable import ONNXReader

struct QuantizationTests {
  private func statements(_ nodes: [ProtoBytes], type: Int = 1, _ constants: [ProtoBytes]) throws -> [String]
  {
    try ModelBytes(
      nodes: nodes,
      initializers: constants,
      inputs: [value("x", type, ["batch", "2", "4", "4"])],
      outputs: [ProtoBytes().text(1, "y")]
    ).lines().filter { $0.hasPrefix("%") }
  }

  private func bytes(_ name: String, _ type: Int, _ dims: [Int], _ value: UInt8 = 1) -> ProtoBytes {
    tensor(name, type, dims).blob(9, Array(repeating: value, count: dims.reduce(1, *)))
  }

  private let scale = floats("s", [], [0.5])

  @Test("QDQ operators are taken one to one")
  func pairs() throws {
    let nodes = [
      node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    #expect(
      try statements(nodes, [scale, bytes("z", 2, [], 128)]) == [
        "%q: u8[batch, 2, 4, 4] = quantize_linear(%x, %s, %z)",
        "%y: f32[batch, 2, 4, 4] = dequantize_linear(%q, %s, %z)",
      ]
    )
  }

  @Test("An absent zero point is u8 0; parameters of one entry are scalars")
  func defaults() throws {
    let nodes = [node("QuantizeLinear", ["x", "v"], ["q"]), node("DequantizeLinear", ["q", "v"], ["y"])]
    #expect(
      try statements(nodes, [floats("v", [1], [0.5])]) == [
        "%q: u8[batch, 2, 4, 4] = quantize_linear(%x, %q_scalar, %q_scalar_1)",
        "%y: f32[batch, 2, 4, 4] = dequantize_linear(%q, %y_scalar)",
      ]
    )
  }

  @Test("Scales per channel keep the axis; blocks are refused")
  func channels() throws {
    let parameters = [floats("v", [2], [0.5, 1]), bytes("z", 3, [2], 0)]
    let quantize = node("QuantizeLinear", ["x", "v", "z"], ["q"], [attribute("axis", 1)])
    let nodes = [quantize, node("DequantizeLinear", ["q", "v", "z"], ["y"])]
    #expect(
      try statements(nodes, parameters) == [
        "%q: i8[batch, 2, 4, 4] = quantize_linear(%x, %v, %z) {axis = 1}",
        "%y: f32[batch, 2, 4, 4] = dequantize_linear(%q, %v, %z) {axis = 1}",
      ]
    )
    let blocks = node("QuantizeLinear", ["x", "s"], ["y"], [attribute("block_size", 2)])
    expectRefusal("O29", "'block_size'") { try statements([blocks], [scale]) }
  }

  /// `w = dequantize(q)` in blocks of 16 along a row of 18 numbers, `y` its product with a constant.
  private func blocks(_ constants: [ProtoBytes], _ inputs: [String], axis: Int = 1) throws -> [String] {
    let dequantize = node(
      "DequantizeLinear",
      inputs,
      ["w"],
      [attribute("axis", axis), attribute("block_size", 16)]
    )
    return try statements(
      [dequantize, node("MatMul", ["w", "v"], ["y"])],
      constants + [floats("v", [axis == 1 ? 18 : 1, 1])]
    )
  }

  @Test("A constant of int4 or uint4 with a scale per block is packed", arguments: [22, 21])
  func fourBits(type: Int) throws {
    // -8, -7, ... -1, 0, 1 as two's complement or from 0 on; the odd row ends in the middle of a byte.
    let numbers = (0..<18).map { UInt8($0 % 16) }
    let codes = numbers.map { type == 22 ? $0 ^ 8 : $0 }
    let pairs = stride(from: 0, to: 18, by: 2).map { codes[$0] | codes[$0 + 1] << 4 }
    let q = tensor("q", type, [1, 18]).blob(9, pairs)
    let scale = floats("s", [1, 2], [0.5, 0.25])
    let zeroPoint = tensor("z", type, [1, 2]).blob(9, [type == 22 ? 0 : 0x88])
    let inputs = ["q", "s", "z"]
    #expect(
      try blocks([q, scale, zeroPoint], inputs).first
        == "%w: f32[1, 18] = dequantize_blocks(%w_packed, %s) {bits = 4, block = 16, depth = 18}"
    )
    let graph = try ModelBytes(
      nodes: [node("DequantizeLinear", inputs, ["y"], [attribute("axis", 1), attribute("block_size", 16)])],
      initializers: [q, scale, zeroPoint],
      outputs: [ProtoBytes().text(1, "y")]
    ).read()
    let packed = graph[graph.order[0]].inputs[0].flatMap { graph[$0].constant }
    let expected = stride(from: 0, to: 18, by: 2).map { numbers[$0] | numbers[$0 + 1] << 4 }
    #expect(packed?.elements(as: UInt8.self) == expected)
  }

  @Test("What packed weights cannot hold is refused")
  func refusedBlocks() throws {
    let q = tensor("q", 21, [1, 18]).blob(9, Array(repeating: 0x88, count: 9))
    let scale = floats("s", [1, 2], [0.5, 0.25])
    let shifted = tensor("z", 21, [1, 2]).blob(9, [0x77])
    expectRefusal("O29", "zero points other than 8") { try blocks([q, scale, shifted], ["q", "s", "z"]) }
    expectRefusal("O29", "on axis 3") { try blocks([q, scale], ["q", "s"], axis: 3) }
    let matrix = node("MatMul", ["q", "v"], ["y"])
    expectRefusal("O30", "has 4 bits") { try statements([matrix], [q, floats("v", [18, 1])]) }
  }

  @Test("Dynamic quantization")
  func dynamic() throws {
    let nodes = [
      node("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"]),
      node("DequantizeLinear", ["q", "qs", "qz"], ["y"]),
    ]
    #expect(
      try statements(nodes, []) == [
        "%q: u8[batch, 2, 4, 4], %qs: f32[], %qz: u8[] = dynamic_quantize(%x)",
        "%y: f32[batch, 2, 4, 4] = dequantize_linear(%q, %qs, %qz)",
      ]
    )
  }

  @Test("QLinearConv becomes a convolution between dequantization and quantization")
  func quantizedConvolution() throws {
    let conv = node("QLinearConv", ["x", "s", "z", "w", "ws", "wz", "ys", "z", "b"], ["y"])
    let constants = [
      scale, bytes("z", 2, [], 128), bytes("w", 3, [3, 2, 1, 1]), floats("ws", [3], [0.5, 1, 2]),
      bytes("wz", 3, [3], 0),
      floats("ys", [], [1]), tensor("b", 6, [3]).packed(5, [1, 2, 3]),
    ]
    #expect(
      try statements([conv], type: 2, constants) == [
        "%y_x: f32[batch, 2, 4, 4] = dequantize_linear(%x, %s, %z)",
        "%y_w: f32[3, 2, 1, 1] = dequantize_linear(%w, %ws) {axis = 0}",
        "%y_bias: f32[3] = dequantize_bias(%b, %s, %ws)",
        "%y_conv: f32[batch, 3, 4, 4] = conv(%y_x, %y_w, %y_bias) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}",
        "%y: u8[batch, 3, 4, 4] = quantize_linear(%y_conv, %ys, %z)",
      ]
    )
  }

  @Test("A QDQ bias whose scale is that of its operands becomes a dequantize_bias")
  func matchedBias() throws {
    func conv(_ biasScale: Float) throws -> [String] {
      let nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("DequantizeLinear", ["w", "ws"], ["wd"], [attribute("axis", 0)]),
        node("DequantizeLinear", ["b", "bs"], ["bd"], [attribute("axis", 0)]),
        node("Conv", ["d", "wd", "bd"], ["y"]),
      ]
      let constants = [
        scale, bytes("z", 2, [], 128), bytes("w", 3, [2, 2, 1, 1]), floats("ws", [2], [0.5, 2]),
        tensor("b", 6, [2]).packed(5, [1, 2]), floats("bs", [2], [biasScale, 1]),
      ]
      return try statements(nodes, constants)
    }
    #expect(try conv(0.25).contains("%y_bias: f32[2] = dequantize_bias(%b, %s, %ws)"))
    #expect(try !conv(0.25).contains { $0.hasPrefix("%bd") })
    #expect(try conv(0.3).contains("%bd: f32[2] = dequantize_linear(%b, %bs) {axis = 0}"))
  }

  @Test("Integer products become float ones with scale 1")
  func integerOperators() throws {
    let conv = node("ConvInteger", ["x", "w", "z"], ["y"])
    let text = try statements([conv], type: 2, [bytes("w", 3, [3, 2, 1, 1]), bytes("z", 2, [], 7)])
    #expect(
      text.map { $0.split(separator: " = ")[1].prefix { $0 != "(" } } == [
        "dequantize_linear", "dequantize_linear", "conv", "cast",
      ]
    )
    #expect(text[3].hasPrefix("%y: i32[batch, 3, 4, 4]"))
    let product = node("MatMulInteger", ["x", "w"], ["y"])
    #expect(
      try statements([product], type: 2, [bytes("w", 3, [4, 5])])[3].hasPrefix("%y: i32[batch, 2, 4, 5]")
    )
    let quantized = node("QLinearMatMul", ["x", "s", "z", "w", "v", "wz", "s", "z"], ["y"])
    let constants = [
      scale, bytes("z", 2, [], 7), bytes("w", 3, [4, 2]), floats("v", [2], [1, 2]), bytes("wz", 3, [2], 0),
    ]
    let matmul = try statements([quantized], type: 2, constants)
    #expect(matmul[1] == "%y_b: f32[4, 2] = dequantize_linear(%w, %v) {axis = -1}")
    #expect(matmul[3].hasPrefix("%y: u8[batch, 2, 4, 2] = quantize_linear("))
  }
}
