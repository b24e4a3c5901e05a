import BinaryIO
import GraphIR
import TestSupport
import Testing

@Suite("Validator: quantization") struct QuantizationRuleTests {
  /// Validates what the text says; types are as printed, so that no operator's rule is asked before.
  private func check(_ text: String) throws { try GraphValidator.validate(GraphParser.parse(text)) }

  private func quantize(scale: String = "0.5", zeroType: String = "u8[]", zero: String = "3") -> String {
    """
    graph @g {
      input %x: f32[n, 2, 4]
      const %s: f32[] = \(scale)
      const %z: \(zeroType) = \(zero)
      %q: u8[n, 2, 4] = quantize_linear(%x, %s, %z)
      %y: f32[n, 2, 4] = dequantize_linear(%q, %s, %z)
      output %y
    }
    """
  }

  @Test("K1: scales from 2^-126 to 2^64 are accepted", arguments: ["0.5", "0x1p-126", "0x1p64"])
  func legalScale(scale: String) throws { try check(quantize(scale: scale)) }

  @Test("K1: other scales are refused", arguments: ["0", "-0.5", "nan", "inf", "0x1p-127", "0x1.000002p64"])
  func illegalScale(scale: String) {
    expectRefusal(rule: "K1", containing: "node \"q\" (quantize_linear): scale") {
      try check(quantize(scale: scale))
    }
  }

  @Test("K2: the zero point has the type of the data")
  func zeroPointType() {
    expectRefusal(rule: "K2", containing: "its zero point is i8, its data u8") {
      try check(quantize(zeroType: "i8[]"))
    }
  }

  @Test("K2: the zero point of i32 data is 0")
  func zeroPointOfBias() throws {
    func text(_ zero: Int) -> String {
      """
      graph @g {
        const %q: i32[2] = [100, -100]
        const %s: f32[] = 0.5
        const %z: i32[] = \(zero)
        %y: f32[2] = dequantize_linear(%q, %s, %z)
        output %y
      }
      """
    }
    try check(text(0))
    expectRefusal(rule: "K2", containing: "its zero point is not 0") { try check(text(1)) }
  }

  private func perChannel(_ attributes: String, scale: String = "f32[2] = [1, 2]") -> String {
    """
    graph @g {
      const %q: i8[2, 3] = [1, 2, 3, 4, 5, 6]
      const %s: \(scale)
      %y: f32[2, 3] = dequantize_linear(%q, %s) \(attributes)
      output %y
    }
    """
  }

  @Test("K3: per channel, one scale per entry of the axis")
  func channels() throws {
    try check(perChannel("{axis = 0}"))
    try check(perChannel("{axis = -2}"))
    try check(perChannel("{axis = 1}", scale: "f32[3] = [1, 2, 3]"))
    expectRefusal(rule: "K3", containing: "has 2 entries, axis 1 of its data 3") {
      try check(perChannel("{axis = 1}"))
    }
    expectRefusal(rule: "K3", containing: "its axis is 2") { try check(perChannel("{axis = 2}")) }
    expectRefusal(rule: "K3", containing: "but no axis is given") { try check(perChannel("")) }
    expectRefusal(rule: "K3", containing: "has rank 2") {
      try check(perChannel("{axis = 0}", scale: "f32[2, 1] = [1, 2]"))
    }
    expectRefusal(rule: "K1", containing: "scale 0.0 of channel 1") {
      try check(perChannel("{axis = 0}", scale: "f32[2] = [1, 0]"))
    }
  }

  private func convolution(
    biasX: String = "0.5",
    biasW: String = "f32[2] = [0.25, 0.125]",
    bias: String = "i32[2] = [7, -7]"
  ) -> String {
    """
    graph @g {
      input %q: u8[n, 1, 4, 4]
      const %sx: f32[] = 0.5
      const %zx: u8[] = 128
      const %wq: i8[2, 1, 1, 1] = [127, -127]
      const %sw: f32[2] = [0.25, 0.125]
      const %bq: \(bias)
      const %bx: f32[] = \(biasX)
      const %bw: \(biasW)
      %x: f32[n, 1, 4, 4] = dequantize_linear(%q, %sx, %zx)
      %w: f32[2, 1, 1, 1] = dequantize_linear(%wq, %sw) {axis = 0}
      %b: f32[2] = dequantize_bias(%bq, %bx, %bw)
      %y: f32[n, 2, 4, 4] = conv(%x, %w, %b) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
      output %y
    }
    """
  }

  @Test("K4: a bias has the scales of its operator's operands")
  func biasScale() throws {
    try check(convolution())
    try check(convolution(biasX: "0.500004"))
    expectRefusal(rule: "K4", containing: "made for activations of scale 0.50001, they have 0.5") {
      try check(convolution(biasX: "0.50001"))
    }
    expectRefusal(rule: "K4", containing: "weight scale 0.25 of channel 1, the weight has 0.125") {
      try check(convolution(biasW: "f32[2] = [0.25, 0.25]"))
    }
    expectRefusal(rule: "K4", containing: "weight scale 0.25 of channel 1") {
      try check(convolution(biasW: "f32[] = 0.25"))
    }
    expectRefusal(rule: "K1", containing: "(dequantize_bias): scale 0.0") {
      try check(convolution(biasX: "0"))
    }
    expectRefusal(rule: "K3", containing: "weight scale has 3 entries") {
      try check(convolution(biasW: "f32[3] = [1, 1, 1]"))
    }
    expectRefusal(rule: "K4", containing: "its data is i8, must be i32") {
      try check(convolution(bias: "i8[2] = [7, -7]"))
    }
  }

  /// A gemm of `taps` 8-bit products per output.
  private func gemm(_ taps: Int) throws {
    var graph = Graph(name: "g")
    let q = graph.addInput("q", TensorType(.uint8, [1, .known(taps)]))
    let scale = graph.addConstant("s", try .floats([0.5], []))
    let zero = graph.addConstant("z", try .make(.uint8, [], [UInt8(0)]))
    let wq = graph.addConstant("wq", try .make(.int8, [1, taps], [Int8](repeating: 1, count: taps)))
    let dequantize = Op.dequantizeLinear(DequantizeLinear())
    let x = try graph.addNode(dequantize, inputs: [q, scale, zero], outputNames: ["x"])
    let w = try graph.addNode(dequantize, inputs: [wq, scale], outputNames: ["w"])
    let y = try graph.addNode(
      .gemm(Gemm(transB: true)),
      inputs: [graph[x].outputs[0], graph[w].outputs[0]],
      outputNames: ["y"]
    )
    graph.addOutput(graph[y].outputs[0])
    try GraphValidator.validate(graph)
  }

  @Test("K5: sums of 8-bit products fit 32 bits")
  func accumulator() throws {
    try gemm(66_311)
    expectRefusal(rule: "K5", containing: "node \"y\" (gemm): sums 66312 products") { try gemm(66_312) }
  }

  @Test(
    "K5: counts input channels of the group and the kernel's area",
    arguments: [
      (
        "conv", "{strides = [1], pads = [0, 0], dilations = [1]}", "%w", "i8[1, 8289, 8]", 8289,
        "f32[1, 1, 1]"
      ),
      (
        "conv_transpose", "{strides = [1], pads = [0, 0], dilations = [1], output_padding = [0]}", "%w",
        "i8[8289, 1, 8]", 8289, "f32[1, 1, 15]"
      ),
    ]
  )
  func convolutionTaps(op: String, attributes: String, w: String, type: String, channels: Int, result: String)
    throws
  {
    let dims = type.dropFirst(2)
    let text = """
      graph @g {
        input %q: u8[1, \(channels), 8]
        const %s: f32[] = 0.5
        const %z: u8[] = 0
        const %wq: \(type) = external
        %x: f32[1, \(channels), 8] = dequantize_linear(%q, %s, %z)
        %w: f32\(dims) = dequantize_linear(%wq, %s)
        %y: \(result) = \(op)(%x, \(w)) \(attributes)
        output %y
      }
      """
    let weight = try Tensor.make(
      .int8,
      type.hasPrefix("i8[1,") ? [1, 8289, 8] : [8289, 1, 8],
      [Int8](repeating: 1, count: 66_312)
    )
    let graph = try GraphParser.parse(text) { (_, _) throws(Refusal) in weight }
    expectRefusal(rule: "K5", containing: "sums 66312 products") { try GraphValidator.validate(graph) }
  }
}
