import BinaryIO
import GraphIR
import Testing

@testable import ONNXReader

/// One node with `x: f32[batch, 4, 8, 8]` and some constants, and the statements that it becomes.
struct OperatorTests {
  private func model(
    _ nodes: [ProtoBytes],
    opset: Int = 17,
    dims: [String] = ["batch", "4", "8", "8"],
    constants: [ProtoBytes] = [],
    outputs: [String] = ["y"]
  ) -> ModelBytes {
    ModelBytes(
      operatorSet: opset,
      nodes: nodes,
      initializers: constants,
      inputs: [value("x", 1, dims)],
      outputs: outputs.map { ProtoBytes().text(1, $0) }
    )
  }

  /// The statements for nodes, without inputs, outputs and constants.
  private func statements(
    _ nodes: [ProtoBytes],
    opset: Int = 17,
    dims: [String] = ["batch", "4", "8", "8"],
    constants: [ProtoBytes] = [],
    outputs: [String] = ["y"]
  ) throws -> [String] {
    try model(nodes, opset: opset, dims: dims, constants: constants, outputs: outputs).lines()
      .filter { $0.hasPrefix("%") }
  }

  // MARK: Windows

  @Test(
    "auto_pad becomes explicit pads",
    arguments: [
      ("SAME_UPPER", 2, "[0, 0, 1, 1]"), ("SAME_LOWER", 2, "[1, 1, 0, 0]"), ("VALID", 2, "[0, 0, 0, 0]"),
      ("SAME_UPPER", 1, "[1, 1, 1, 1]"), ("NOTSET", 1, "[0, 0, 0, 0]"),
    ]
  )
  func autoPad(name: String, stride: Int, pads: String) throws {
    let conv = node(
      "Conv",
      ["x", "w"],
      ["y"],
      [attribute("auto_pad", name), attribute("strides", [stride, stride])]
    )
    let text = try statements([conv], constants: [floats("w", [2, 4, 3, 3])])
    #expect(text[0].contains("pads = \(pads)"), "\(text)")
  }

  @Test("auto_pad needs known extents, unless the stride is 1")
  func autoPadUnknown() throws {
    let dims = ["batch", "4", "h", "w"]
    func conv(_ stride: Int) throws -> [String] {
      let attributes = [attribute("auto_pad", "SAME_UPPER"), attribute("strides", [stride, stride])]
      let weight = floats("k", [2, 4, 3, 3])
      return try statements([node("Conv", ["x", "k"], ["y"], attributes)], dims: dims, constants: [weight])
    }
    #expect(try conv(1)[0].contains("pads = [1, 1, 1, 1]"))
    expectRefusal("O29", "known input size", "fixed spatial") { try conv(2) }
  }

  @Test("Convolutions take bias, group and dilations, and refuse a kernel that is not the weight's")
  func convolution() throws {
    let attributes = [
      attribute("dilations", [2, 2]), attribute("group", 2), attribute("kernel_shape", [3, 3]),
      attribute("pads", [2, 2, 2, 2]),
    ]
    let constants = [floats("w", [6, 2, 3, 3]), floats("b", [6])]
    #expect(
      try statements([node("Conv", ["x", "w", "b"], ["y"], attributes)], constants: constants) == [
        "%y: f32[batch, 6, 8, 8] = conv(%x, %w, %b) {strides = [1, 1], pads = [2, 2, 2, 2], dilations = [2, 2], group = 2}"
      ]
    )
    expectRefusal("O27", "kernel_shape", "[5, 5]") {
      try statements(
        [node("Conv", ["x", "w"], ["y"], [attribute("kernel_shape", [5, 5])])],
        constants: constants
      )
    }
    expectRefusal("O27", "'strides'", "entry 0") {
      try statements(
        [node("Conv", ["x", "w"], ["y"], [attribute("strides", [0, 1])])],
        constants: constants
      )
    }
    expectRefusal("O27", "'pads'", "3 entries") {
      try statements(
        [node("Conv", ["x", "w"], ["y"], [attribute("pads", [0, 1, 1])])],
        constants: constants
      )
    }
  }

  @Test("Transposed convolutions resolve output_shape and auto_pad")
  func transposedConvolution() throws {
    let weight = floats("w", [4, 2, 3, 3])
    func transposed(_ attributes: [ProtoBytes]) throws -> String {
      try statements([node("ConvTranspose", ["x", "w"], ["y"], attributes)], constants: [weight])[0]
    }
    let strides = attribute("strides", [2, 2])
    #expect(try transposed([strides]).hasPrefix("%y: f32[batch, 2, 17, 17] ="))
    #expect(
      try transposed([strides, attribute("output_shape", [16, 16])]).contains("f32[batch, 2, 16, 16]")
    )
    let larger = try transposed([strides, attribute("output_shape", [18, 18])])
    #expect(larger.contains("f32[batch, 2, 18, 18]") && larger.contains("output_padding = [1, 1]"))
    #expect(try transposed([strides, attribute("auto_pad", "SAME_UPPER")]).contains("pads = [0, 0, 1, 1]"))
    #expect(try transposed([strides, attribute("auto_pad", "SAME_LOWER")]).contains("pads = [1, 1, 0, 0]"))
    #expect(
      try transposed([strides, attribute("output_padding", [1, 1])]).contains("f32[batch, 2, 18, 18]")
    )
  }

  @Test("Pools")
  func pools() throws {
    let kernel = attribute("kernel_shape", [2, 2])
    let strides = attribute("strides", [2, 2])
    #expect(
      try statements([node("MaxPool", ["x"], ["y", ""], [kernel, strides, attribute("ceil_mode", 1)])]) == [
        "%y: f32[batch, 4, 4, 4] = max_pool(%x) {kernel = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0], dilations = [1, 1], ceil_mode = 1}"
      ]
    )
    #expect(
      try statements([node("AveragePool", ["x"], ["y"], [kernel, attribute("count_include_pad", 1)])])[0]
        .contains("count_include_pad = 1")
    )
    expectRefusal("O27", "'kernel_shape'", "missing") { try statements([node("MaxPool", ["x"], ["y"])]) }
    expectRefusal("O29", "output 1", "\"i\"") {
      try statements([node("MaxPool", ["x"], ["y", "i"], [kernel])], outputs: ["y", "i"])
    }
    #expect(try statements([node("GlobalMaxPool", ["x"], ["y"])])[0].contains("global_max_pool(%x)"))
  }

  // MARK: Linear and normalisation

  @Test("Gemm and MatMul")
  func matrices() throws {
    let gemm = node(
      "Gemm",
      ["x", "w", "b"],
      ["y"],
      [attribute("transB", 1), attribute("alpha", 0.5 as Float)]
    )
    let constants = [floats("w", [3, 8]), floats("b", [3])]
    #expect(
      try statements([gemm], dims: ["batch", "8"], constants: constants) == [
        "%y: f32[batch, 3] = gemm(%x, %w, %b) {alpha = 0.5, trans_b = 1}"
      ]
    )
    let product = node("MatMul", ["x", "w"], ["y"])
    #expect(
      try statements([product], constants: [floats("w", [8, 3])]) == [
        "%y: f32[batch, 4, 8, 3] = matmul(%x, %w)"
      ]
    )
  }

  @Test("Batch normalisation of all opsets, but not in training")
  func batchNorm() throws {
    let constants = ["s", "b", "m", "v"].map { floats($0, [4]) }
    func norm(_ opset: Int, _ attributes: [ProtoBytes], outputs: [String] = ["y"]) throws -> [String] {
      let inputs = ["x", "s", "b", "m", "v"]
      let momentum = attribute("momentum", 0.9 as Float)
      return try statements(
        [node("BatchNormalization", inputs, outputs, attributes + [momentum])],
        opset: opset,
        constants: constants
      )
    }
    let expected = ["%y: f32[batch, 4, 8, 8] = batch_norm(%x, %s, %b, %m, %v)"]
    #expect(try norm(7, [attribute("spatial", 1)]) == expected)
    #expect(try norm(9, []) == expected)
    #expect(try norm(15, [attribute("training_mode", 0)]) == expected)
    #expect(try norm(15, [attribute("epsilon", 0.5 as Float)])[0].hasSuffix("{epsilon = 0.5}"))
    expectRefusal("O29", "training", "model.eval()") { try norm(15, [attribute("training_mode", 1)]) }
    expectRefusal("O29", "training") { try norm(9, [], outputs: ["y", "mean", "var"]) }
    expectRefusal("O29", "'spatial'") { try norm(7, [attribute("spatial", 0)]) }
    expectRefusal("O27", "'spatial'") { try norm(9, [attribute("spatial", 1)]) }
  }

  @Test("Layer normalisation")
  func layerNorm() throws {
    let norm = node(
      "LayerNormalization",
      ["x", "s"],
      ["y"],
      [attribute("axis", -1), attribute("stash_type", 1)]
    )
    #expect(try statements([norm], constants: [floats("s", [8])])[0].contains("= layer_norm(%x, %s)"))
  }

  // MARK: Pointwise

  @Test(
    "Pointwise functions keep the type",
    arguments: ["Relu", "Sigmoid", "HardSwish", "Erf", "Softplus", "Round"]
  )
  func unary(name: String) throws {
    let text = try statements([node(name, ["x"], ["y"])])
    #expect(text.count == 1)
    #expect(text[0].hasPrefix("%y: f32[batch, 4, 8, 8] = "))
  }

  @Test("Clip takes its bounds from attributes, constants or values")
  func clip() throws {
    let attributes = [attribute("min", 0 as Float), attribute("max", 6 as Float)]
    let expected = ["%y: f32[batch, 4, 8, 8] = clip(%x) {min = 0, max = 6}"]
    #expect(try statements([node("Clip", ["x"], ["y"], attributes)], opset: 10) == expected)
    let bounds = [floats("lo", [], [0]), floats("hi", [], [6])]
    #expect(try statements([node("Clip", ["x", "lo", "hi"], ["y"])], constants: bounds) == expected)
    #expect(
      try statements([node("Clip", ["x", "", "hi"], ["y"])], constants: bounds) == [
        "%y: f32[batch, 4, 8, 8] = clip(%x) {max = 6}"
      ]
    )
    #expect(
      try statements([node("Relu", ["x"], ["r"]), node("Clip", ["x", "", "r"], ["y"])]) == [
        "%r: f32[batch, 4, 8, 8] = relu(%x)", "%y: f32[batch, 4, 8, 8] = min(%x, %r)",
      ]
    )
    expectRefusal("O27", "'max'", "not known") {
      try statements([node("Clip", ["x"], ["y"], attributes)], opset: 11)
    }
  }

  @Test("Functions with parameters")
  func activations() throws {
    let alpha = attribute("alpha", 0.25 as Float)
    #expect(
      try statements([node("LeakyRelu", ["x"], ["y"], [alpha])])[0].contains("leaky_relu(%x) {alpha = 0.25}")
    )
    #expect(try statements([node("HardSigmoid", ["x"], ["y"], [alpha])])[0].contains("{alpha = 0.25}"))
    let tanh = attribute("approximate", "tanh")
    #expect(
      try statements([node("Gelu", ["x"], ["y"], [tanh])], opset: 20)[0].contains("gelu(%x) {tanh = 1}")
    )
    let slope = floats("s", [4, 1, 1])
    #expect(
      try statements([node("PRelu", ["x", "s"], ["y"])], constants: [slope])[0].contains("prelu(%x, %s)")
    )
    #expect(
      try statements([node("Cast", ["x"], ["y"], [attribute("to", 10)])]) == [
        "%y: f16[batch, 4, 8, 8] = cast(%x) {to = \"f16\"}"
      ]
    )
  }

  @Test("Exponential units become one operator")
  func exponentialUnits() throws {
    let alpha = attribute("alpha", 0.25 as Float)
    #expect(try statements([node("Elu", ["x"], ["y"], [alpha])])[0].hasSuffix("elu(%x) {alpha = 0.25}"))
    #expect(
      try statements([node("Selu", ["x"], ["y"])])[0].hasSuffix(
        "elu(%x) {alpha = 1.6732632, scale = 1.050701}"
      )
    )
    #expect(try statements([node("Celu", ["x"], ["y"])])[0].hasSuffix("elu(%x)"))
    let celu = try statements([node("Celu", ["x"], ["y"], [alpha])])
    #expect(celu[0].hasSuffix("div(%x, %y_alpha)") && celu[1].hasSuffix("elu(%y_divided) {scale = 0.25}"))
    #expect(try statements([node("Mish", ["x"], ["y"])], opset: 18)[0].hasSuffix("mish(%x)"))
    #expect(
      try statements([node("Softsign", ["x"], ["y"])]).last == "%y: f32[batch, 4, 8, 8] = div(%x, %y_divisor)"
    )
  }

  @Test("What is no number differs from itself")
  func isNaN() throws {
    #expect(
      try statements([node("IsNaN", ["x"], ["y"])]) == [
        "%y_same: bool[batch, 4, 8, 8] = equal(%x, %x)", "%y: bool[batch, 4, 8, 8] = not(%y_same)",
      ]
    )
  }

  @Test("Instance and group normalisation are layer normalisation of groups, scaled by channel")
  func groupNormalization() throws {
    let constants = [floats("s", [4], [1, 2, 3, 4]), floats("b", [4])]
    let shapes = [
      "%y_groups: f32[batch, 4, 64] = reshape(%x) {shape = [0, 4, -1]}",
      "%y_normalized: f32[batch, 4, 64] = layer_norm(%y_groups, %y_one)",
    ]
    let instance = try statements(
      [node("InstanceNormalization", ["x", "s", "b"], ["y"])],
      constants: constants
    )
    #expect(instance[0] == shapes[0].replacing("[0, 4, -1]", with: "[0, 0, -1]") && instance[1] == shapes[1])
    #expect(instance.last == "%y: f32[batch, 4, 8, 8] = add(%y_mul, %y_column_1)", "\(instance)")
    let groups = attribute("num_groups", 2)
    let norm = node("GroupNormalization", ["x", "s", "b"], ["y"], [groups])
    let byChannel = try statements([norm], opset: 21, constants: constants)
    #expect(byChannel[1] == "%y_normalized: f32[batch, 2, 128] = layer_norm(%y_groups, %y_one)")
    #expect(byChannel.last?.hasPrefix("%y: f32[batch, 4, 8, 8] = add(") == true)
    let byGroup = try statements([norm], opset: 18, constants: [floats("s", [2], [1, 2]), floats("b", [2])])
    #expect(byGroup.last?.hasPrefix("%y: f32[batch, 4, 8, 8] = reshape(") == true)
    // What torch exports for its own group normalisation scales by nothing here.
    let plain = [floats("s", [4]), floats("b", [4], repeating: 0)]
    #expect(
      try statements([node("InstanceNormalization", ["x", "s", "b"], ["y"])], constants: plain).count == 3
    )
    expectRefusal("O42", "do not form 3 groups") {
      try statements(
        [node("GroupNormalization", ["x", "s", "b"], ["y"], [attribute("num_groups", 3)])],
        opset: 21,
        constants: constants
      )
    }
    expectRefusal("O42", "must have spatial axes") {
      try statements(
        [node("InstanceNormalization", ["x", "s", "b"], ["y"])],
        dims: ["batch", "4"],
        constants: constants
      )
    }
  }

  @Test("Channels become pixels and back")
  func depthToSpace() throws {
    let block = attribute("blocksize", 2)
    #expect(
      try statements([node("DepthToSpace", ["x"], ["y"], [block])]) == [
        "%y_blocks: f32[batch, 2, 2, 1, 8, 8] = reshape(%x) {shape = [-1, 2, 2, 1, 8, 8]}",
        "%y_pixels: f32[batch, 1, 8, 2, 8, 2] = transpose(%y_blocks) {perm = [0, 3, 4, 1, 5, 2]}",
        "%y: f32[batch, 1, 16, 16] = reshape(%y_pixels) {shape = [-1, 1, 16, 16]}",
      ]
    )
    let mode = attribute("mode", "CRD")
    let columns = try statements([node("DepthToSpace", ["x"], ["y"], [block, mode])])
    #expect(columns[1].hasSuffix("{perm = [0, 1, 4, 2, 5, 3]}"))
    #expect(
      try statements([node("SpaceToDepth", ["x"], ["y"], [block])]) == [
        "%y_blocks: f32[batch, 4, 4, 2, 4, 2] = reshape(%x) {shape = [-1, 4, 4, 2, 4, 2]}",
        "%y_depths: f32[batch, 2, 2, 4, 4, 4] = transpose(%y_blocks) {perm = [0, 3, 5, 1, 2, 4]}",
        "%y: f32[batch, 16, 4, 4] = reshape(%y_depths) {shape = [-1, 16, 4, 4]}",
      ]
    )
    let open = try statements(
      [node("DepthToSpace", ["x"], ["y"], [block])],
      dims: ["batch", "4", "h", "w"]
    )
    #expect(open.contains { $0.contains("= reshape(%x, %y_extents)") }, "\(open)")
    expectRefusal("O42", "no multiple of 9") {
      try statements([node("DepthToSpace", ["x"], ["y"], [attribute("blocksize", 3)])])
    }
    expectRefusal("O42", "no whole blocks of 3x3") {
      try statements([node("SpaceToDepth", ["x"], ["y"], [attribute("blocksize", 3)])])
    }
    expectRefusal("O27", "'blocksize'") { try statements([node("DepthToSpace", ["x"], ["y"])]) }
  }

  @Test("Elements chosen by index, sums up to each one, repetition")
  func indexed() throws {
    let axis = attribute("axis", 3)
    let indices = tensor("i", 7, [1, 4, 8, 1]).blob(9, Array(repeating: 0, count: 256))
    #expect(
      try statements([node("GatherElements", ["x", "i"], ["y"], [axis])], constants: [indices]) == [
        "%y: f32[1, 4, 8, 1] = gather_elements(%x, %i) {axis = 3}"
      ]
    )
    let vector = int64s("v", [0, 1])
    #expect(
      try statements([node("GatherND", ["x", "v"], ["y"])], constants: [vector]) == [
        "%y: f32[8, 8] = gather_nd(%x, %v)"
      ]
    )
    let scatter = node("ScatterND", ["x", "v", "u"], ["y"])
    #expect(
      try statements([scatter], constants: [vector, floats("u", [8, 8])]) == [
        "%y: f32[batch, 4, 8, 8] = scatter_nd(%x, %v, %u)"
      ]
    )
    expectRefusal("O29", "'reduction'", "\"add\"") {
      try statements(
        [node("ScatterND", ["x", "v", "u"], ["y"], [attribute("reduction", "add")])],
        constants: [vector, floats("u", [8, 8])]
      )
    }
    #expect(
      try statements(
        [node("CumSum", ["x", "a"], ["y"], [attribute("reverse", 1)])],
        constants: [int64s("a", [-1])]
      )[0].hasSuffix("cum_sum(%x) {axis = -1, reverse = 1}")
    )
    #expect(
      try statements([node("Tile", ["x", "r"], ["y"])], constants: [int64s("r", [1, 2, 3, 1])]) == [
        "%y: f32[batch, 8, 24, 8] = tile(%x) {repeats = [1, 2, 3, 1]}"
      ]
    )
    #expect(
      try statements([node("ReduceL1", ["x"], ["y"])])[0] == "%y_abs: f32[batch, 4, 8, 8] = abs(%x)"
    )
  }

  @Test("A triangle is a choice by row and column")
  func triangle() throws {
    let upper = try statements([node("Trilu", ["x"], ["y"])])
    #expect(upper.contains { $0.contains("= greater_or_equal(%y_columns_range") })
    #expect(upper.last == "%y: f32[batch, 4, 8, 8] = where(%y_inside, %x, %y_outside)")
    let lower = try statements([node("Trilu", ["x"], ["y"], [attribute("upper", 0)])])
    #expect(lower.contains { $0.contains("= less_or_equal(%y_columns_range") })
  }

  @Test("Operators of many operands become binary ones")
  func manyOperands() throws {
    let constants = [floats("a", [8]), floats("b", [8])]
    #expect(
      try statements([node("Max", ["x", "a", "b"], ["y"])], constants: constants) == [
        "%y_max: f32[batch, 4, 8, 8] = max(%x, %a)", "%y: f32[batch, 4, 8, 8] = max(%y_max, %b)",
      ]
    )
    let mean = try statements([node("Mean", ["x", "a"], ["y"])], constants: constants)
    #expect(mean[1] == "%y: f32[batch, 4, 8, 8] = div(%y_sum, %y_count)")
    let power = try statements([node("Pow", ["x", "e"], ["y"])], constants: [int64s("e", [2])])
    #expect(power == ["%y: f32[batch, 4, 8, 8] = pow(%x, %y_exponent)"])
    expectRefusal("O29", "'fmod'") {
      try statements([node("Mod", ["x", "a"], ["y"], [attribute("fmod", 1)])], constants: constants)
    }
  }

  @Test("Comparison and choice")
  func comparison() throws {
    let nodes = [node("Greater", ["x", "a"], ["c"]), node("Where", ["c", "x", "a"], ["y"])]
    #expect(
      try statements(nodes, constants: [floats("a", [])]) == [
        "%c: bool[batch, 4, 8, 8] = greater(%x, %a)", "%y: f32[batch, 4, 8, 8] = where(%c, %x, %a)",
      ]
    )
  }

  @Test("Softmax before opset 13 counts all later axes as one")
  func softmax() throws {
    let axis = attribute("axis", 1)
    #expect(
      try statements([node("Softmax", ["x"], ["y"], [axis])]) == [
        "%y: f32[batch, 4, 8, 8] = softmax(%x) {axis = 1}"
      ]
    )
    let old = try statements([node("Softmax", ["x"], ["y"], [axis])], opset: 11)
    #expect(
      old == [
        "%y_flat: f32[batch, 256] = flatten(%x)", "%y_softmax: f32[batch, 256] = softmax(%y_flat) {axis = 1}",
        "%y_shape: i64[4] = shape(%x)",
        "%y: f32[batch, 4, 8, 8] = reshape(%y_softmax, %y_shape) {allow_zero = 1}",
      ]
    )
    let last = try statements(
      [node("LogSoftmax", ["x"], ["y"], [axis])],
      opset: 11,
      dims: ["batch", "4", "1", "1"]
    )
    #expect(last == ["%y: f32[batch, 4, 1, 1] = softmax(%x) {axis = 1, log = 1}"])
  }

  // MARK: Reductions

  @Test("Reductions take axes from attributes or operands; spatial means are global pools")
  func reductions() throws {
    let keep = attribute("keepdims", 0)
    #expect(
      try statements([node("ReduceSum", ["x"], ["y"], [attribute("axes", [1]), keep])], opset: 11) == [
        "%y: f32[batch, 8, 8] = reduce_sum(%x) {axes = [1], keep_dims = 0}"
      ]
    )
    #expect(
      try statements([node("ReduceMean", ["x", "a"], ["y"])], opset: 18, constants: [int64s("a", [-1, -2])])
        == [
          "%y: f32[batch, 4, 1, 1] = global_average_pool(%x)"
        ]
    )
    #expect(
      try statements([node("ReduceMean", ["x"], ["y"], [attribute("axes", [2, 3]), keep])]) == [
        "%y_pool: f32[batch, 4, 1, 1] = global_average_pool(%x)", "%y: f32[batch, 4] = flatten(%y_pool)",
      ]
    )
    #expect(
      try statements([node("ReduceL2", ["x"], ["y"], [keep])])[0]
        == "%y: f32[] = reduce_l2(%x) {keep_dims = 0}"
    )
    let noop = attribute("noop_with_empty_axes", 1)
    #expect(
      try statements([node("Relu", ["x"], ["r"]), node("ReduceSum", ["r"], ["y"], [noop])]) == [
        "%y: f32[batch, 4, 8, 8] = relu(%x)"
      ]
    )
    #expect(
      try statements([node("ArgMax", ["x"], ["y"], [attribute("axis", 1), keep])])[0].contains(
        "i64[batch, 8, 8]"
      )
    )
    expectRefusal("O26", "before opset 18") {
      try statements([node("ReduceMean", ["x", "a"], ["y"])], constants: [int64s("a", [1])])
    }
  }

  // MARK: Shapes

  @Test("Shape changes with constant operands become attributes")
  func shapes() throws {
    let shape = int64s("s", [0, -1])
    #expect(
      try statements([node("Reshape", ["x", "s"], ["y"])], constants: [shape]) == [
        "%y: f32[batch, 256] = reshape(%x) {shape = [0, -1]}"
      ]
    )
    #expect(try statements([node("Flatten", ["x"], ["y"])]) == ["%y: f32[batch, 256] = flatten(%x)"])
    #expect(
      try statements([node("Transpose", ["x"], ["y"])]) == [
        "%y: f32[8, 8, 4, batch] = transpose(%x) {perm = [3, 2, 1, 0]}"
      ]
    )
    let unsqueeze = "%y: f32[batch, 1, 4, 8, 8] = unsqueeze(%x) {axes = [1]}"
    #expect(
      try statements([node("Unsqueeze", ["x"], ["y"], [attribute("axes", [1])])], opset: 11) == [unsqueeze]
    )
    #expect(
      try statements([node("Unsqueeze", ["x", "a"], ["y"])], constants: [int64s("a", [1])]) == [unsqueeze]
    )
    #expect(
      try statements([node("Squeeze", ["x"], ["y"])], dims: ["batch", "4", "1", "1"]) == [
        "%y: f32[batch, 4] = squeeze(%x)"
      ]
    )
    #expect(
      try statements(
        [node("Expand", ["x", "s"], ["y"])],
        dims: ["4", "1"],
        constants: [int64s("s", [4, 3])]
      ) == [
        "%y: f32[4, 3] = expand(%x) {shape = [4, 3]}"
      ]
    )
    expectRefusal("O29", "axes is computed", "constant folding") {
      try statements([node("Shape", ["x"], ["a"]), node("Unsqueeze", ["x", "a"], ["y"])])
    }
  }

  @Test("Dropout and Identity vanish")
  func vanishing() throws {
    let nodes = [
      node("Relu", ["x"], ["r"]), node("Dropout", ["r"], ["d", "mask"]), node("Neg", ["d"], ["y"]),
    ]
    #expect(
      try statements(nodes) == ["%r: f32[batch, 4, 8, 8] = relu(%x)", "%y: f32[batch, 4, 8, 8] = neg(%r)"]
    )
    let training = [tensor("t", 9, []).blob(9, [1]), floats("p", [], [0.5])]
    expectRefusal("O29", "training mode", "model.eval()") {
      try statements([node("Dropout", ["x", "p", "t"], ["y"])], constants: training)
    }
    let inference = [tensor("t", 9, []).blob(9, [0])]
    #expect(
      try statements(
        [node("Dropout", ["x", "", "t"], ["d"]), node("Neg", ["d"], ["y"])],
        constants: inference
      ).count == 1
    )
    expectRefusal("O29", "\"mask\"") { try statements(Array(nodes[..<2]), outputs: ["d", "mask"]) }
  }

  @Test("Slices, splits and paddings of all opsets")
  func indexing() throws {
    let attributes = [attribute("starts", [0]), attribute("ends", [2]), attribute("axes", [1])]
    #expect(
      try statements([node("Slice", ["x"], ["y"], attributes)], opset: 9) == [
        "%y: f32[batch, 2, 8, 8] = slice(%x) {starts = [0], ends = [2], axes = [1]}"
      ]
    )
    let operands = [int64s("s", [0]), int64s("e", [.max]), int64s("a", [2]), int64s("t", [2])]
    #expect(
      try statements([node("Slice", ["x", "s", "e", "a", "t"], ["y"])], constants: operands)[0]
        .hasPrefix("%y: f32[batch, 4, 4, 8] = slice(%x) {starts = [0]")
    )
    let axis = attribute("axis", 1)
    #expect(
      try statements([node("Split", ["x"], ["y", "z"], [axis])], outputs: ["y", "z"]) == [
        "%y: f32[batch, 2, 8, 8], %z: f32[batch, 2, 8, 8] = split(%x) {axis = 1, sizes = [2, 2]}"
      ]
    )
    let uneven = [axis, attribute("num_outputs", 3)]
    #expect(
      try statements([node("Split", ["x"], ["y", "z", "w"], uneven)], opset: 18, outputs: ["y", "z", "w"])[0]
        .contains("sizes = [2, 2, 0]")
    )
    expectRefusal("O42", "3 parts") { try statements([node("Split", ["x"], ["y", "z", "w"], [axis])]) }
    let pads = [0, 0, 1, 1, 0, 0, 2, 2]
    let padded = "%y: f32[batch, 4, 11, 11] = pad(%x) {pads = [0, 0, 1, 1, 0, 0, 2, 2]}"
    #expect(try statements([node("Pad", ["x"], ["y"], [attribute("pads", pads)])], opset: 10) == [padded])
    #expect(try statements([node("Pad", ["x", "p"], ["y"])], constants: [int64s("p", pads)]) == [padded])
    let some = [int64s("p", [1, 1, 2, 2]), int64s("a", [-2, 3])]
    #expect(
      try statements([node("Pad", ["x", "p", "", "a"], ["y"])], opset: 18, constants: some) == [padded]
    )
    expectRefusal("O29", "'mode'") {
      try statements(
        [node("Pad", ["x", "p"], ["y"], [attribute("mode", "wrap")])],
        constants: [int64s("p", pads)]
      )
    }
  }

  @Test("Computed paddings are evaluated")
  func computedPadding() throws {
    let zeros = attribute("value", tensor: tensor("", 7, [1]).blob(9, Array(repeating: 0, count: 8)))
    let nodes = [
      node("ConstantOfShape", ["four"], ["rest"], [zeros]),
      node("Concat", ["given", "rest"], ["all"], [attribute("axis", 0)]),
      node("Reshape", ["all", "pairs"], ["rows"]),
      node("Slice", ["rows", "first", "last", "zero", "step"], ["reversed"]),
      node("Transpose", ["reversed"], ["columns"], [attribute("perm", [1, 0])]),
      node("Reshape", ["columns", "flat"], ["list"]), node("Cast", ["list"], ["pads"], [attribute("to", 7)]),
      node("Pad", ["x", "pads"], ["y"]),
    ]
    let constants = [
      int64s("four", [4]), int64s("given", [1, 2, 3, 4]), int64s("pairs", [-1, 2]), int64s("first", [-1]),
      int64s("last", [.min + 1]), int64s("zero", [0]), int64s("step", [-1]), int64s("flat", [-1]),
    ]
    #expect(
      try statements(nodes, constants: constants) == [
        "%y: f32[batch, 4, 15, 11] = pad(%x) {pads = [0, 0, 3, 1, 0, 0, 4, 2]}"
      ]
    )
  }

  @Test("Constants of all forms")
  func constants() throws {
    for (form, type) in [
      (attribute("value_float", 1 as Float), "f32[]"),
      (attribute("value_floats", [1, 2] as [Float]), "f32[2]"),
      (attribute("value_int", 3), "i64[]"), (attribute("value_ints", [3, 4]), "i64[2]"),
      (attribute("value", tensor: floats("", [1], [2])), "f32[1]"),
    ] {
      let lines = try model([node("Constant", [], ["c"], [form]), node("Neg", ["c"], ["y"])]).lines()
      #expect(
        lines.contains { $0.hasPrefix("const %c: \(type)") }
          || lines.contains { $0.hasPrefix("const %y: \(type)") }
      )
    }
    expectRefusal("O29", "'value_string'") {
      try statements([node("Constant", [], ["y"], [attribute("value_string", "a")])])
    }
    expectRefusal("O27", "0 values") { try statements([node("Constant", [], ["y"])]) }
  }

  // MARK: Resizing

  @Test("Resize of all opsets has one form")
  func resize() throws {
    let scales = [1, 1, 2, 2] as [Float]
    let upsample =
      "%y: f32[batch, 4, 16, 16] = resize(%x) {scales = [1, 1, 2, 2], coordinates = \"asymmetric\", nearest = \"floor\"}"
    #expect(
      try statements([node("Upsample", ["x"], ["y"], [attribute("scales", scales)])], opset: 7) == [upsample]
    )
    let operand = [floats("s", [4], scales)]
    #expect(
      try statements([node("Upsample", ["x", "s"], ["y"])], opset: 9, constants: operand) == [upsample]
    )
    #expect(try statements([node("Resize", ["x", "s"], ["y"])], opset: 10, constants: operand) == [upsample])
    #expect(
      try statements(
        [node("Resize", ["x", "", "s"], ["y"], [attribute("mode", "linear")])],
        constants: operand
      ) == [
        "%y: f32[batch, 4, 16, 16] = resize(%x) {scales = [1, 1, 2, 2], mode = \"linear\"}"
      ]
    )
    let axes = attribute("axes", [2, 3])
    let sizes = try statements(
      [node("Resize", ["x", "", "", "s"], ["y"], [axes])],
      opset: 18,
      constants: [int64s("s", [12, 4])]
    )
    #expect(sizes == ["%y: f32[batch, 4, 12, 4] = resize(%x) {scales = [1, 1, 1.5, 0.5]}"])
    expectRefusal("O29", "'antialias'") {
      try statements(
        [node("Resize", ["x", "", "s"], ["y"], [attribute("antialias", 1)])],
        opset: 18,
        constants: operand
      )
    }
  }

  @Test("Sizes computed from the input's shape keep its symbols")
  func computedSizes() throws {
    let nodes = [
      node("Shape", ["x"], ["shape"]), node("Slice", ["shape", "zero", "two"], ["head"]),
      node("Concat", ["head", "tail"], ["sizes"], [attribute("axis", 0)]),
      node("Resize", ["x", "", "", "sizes"], ["y"]),
    ]
    let constants = [int64s("zero", [0]), int64s("two", [2]), int64s("tail", [24, 24])]
    #expect(
      try statements(nodes, constants: constants) == [
        "%y: f32[batch, 4, 24, 24] = resize(%x) {scales = [1, 1, 3, 3]}"
      ]
    )
  }
}
