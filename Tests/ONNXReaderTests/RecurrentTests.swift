import GraphIR
import Testing

@testable import ONNXReader

/// LSTM and GRU: what they become, and what is refused.
struct RecurrentTests {
  private struct Form {
    var op = "LSTM"
    var opset = 17
    var inputs = ["x", "w", "r"]
    var outputs = ["y"]
    var x = ["t", "b", "2"]
    var attributes: [ProtoBytes] = []
    var constants: [ProtoBytes] = []
    var values: [ProtoBytes] = []
    var used: [String]?
  }

  private func model(_ form: Form) -> ModelBytes {
    let gates = form.op == "LSTM" ? 12 : 9
    let own = [floats("w", [1, gates, 2]), floats("r", [1, gates, 3])]
    return ModelBytes(
      operatorSet: form.opset,
      nodes: [node(form.op, form.inputs, form.outputs, form.attributes)],
      initializers: form.constants.isEmpty ? own : form.constants,
      inputs: [value("x", 1, form.x)] + form.values,
      outputs: (form.used ?? form.outputs.filter { !$0.isEmpty }).map { ProtoBytes().text(1, $0) }
    )
  }

  private func statements(_ form: Form) throws -> [String] {
    try model(form).lines().filter { $0.hasPrefix("%") }
  }

  @Test("the product of all inputs is a gemm, whatever the opset", arguments: [7, 13, 14, 22])
  func plain(opset: Int) throws {
    let lines = try statements(Form(opset: opset, attributes: [attribute("hidden_size", 3)]))
    #expect(
      lines == [
        "%y_w: f32[12, 2] = reshape(%w) {shape = [12, 2]}",
        "%y_gates: f32[t, b, 12] = gemm(%x, %y_w) {trans_b = 1}",
        "%y_r: f32[12, 3] = reshape(%r) {shape = [12, 3]}",
        "%y: f32[t, 1, b, 3], %y_1: f32[1, b, 3], %y_2: f32[1, b, 3] = lstm(%y_gates, %y_r)",
      ]
    )
  }

  @Test("every operand and attribute; only the last cell is asked for")
  func everything() throws {
    let form = Form(
      inputs: ["x", "w", "r", "bias", "lengths", "h", "c", "p"],
      outputs: ["", "", "last"],
      attributes: [
        attribute("direction", "bidirectional"), attribute("clip", Float(2)), attribute("input_forget", 1),
        strings("activations", ["Sigmoid", "Tanh", "tanh", "SIGMOID", "Tanh", "Tanh"]),
      ],
      constants: [
        floats("w", [2, 12, 2]), floats("r", [2, 12, 3]), floats("bias", [2, 24]), floats("p", [2, 9]),
      ],
      values: [value("lengths", 6, ["b"]), value("h", 1, ["2", "b", "3"]), value("c", 1, ["2", "b", "3"])]
    )
    let lines = try statements(form)
    #expect(lines.contains("%last_bias: f32[2, 12] = add(%last_bias_0, %last_bias_1)"))
    #expect(lines.contains("%last_gates: f32[t, b, 24] = gemm(%x, %last_w, %last_bias_row) {trans_b = 1}"))
    #expect(
      lines.last
        == "%last_0: f32[t, 2, b, 3], %last_1: f32[2, b, 3], %last: f32[2, b, 3] = "
        + "lstm(%last_gates, %last_r, %lengths, %h, %c, %last_peepholes) "
        + "{direction = \"bidirectional\", clip = 2, coupled = 1}"
    )
  }

  @Test("with the batch first, data and states are transposed on the way in and out")
  func batchFirst() throws {
    let form = Form(
      opset: 14,
      inputs: ["x", "w", "r", "", "", "h"],
      outputs: ["y", "last"],
      x: ["b", "t", "2"],
      attributes: [attribute("layout", 1)],
      values: [value("h", 1, ["b", "1", "3"])]
    )
    let lines = try statements(form)
    #expect(lines.contains("%y_time_first: f32[t, b, 2] = transpose(%x) {perm = [1, 0, 2]}"))
    #expect(lines.contains("%y_initial_h: f32[1, b, 3] = transpose(%h) {perm = [1, 0, 2]}"))
    #expect(lines.contains("%y: f32[b, t, 1, 3] = transpose(%y_time_first_0) {perm = [2, 0, 1, 3]}"))
    #expect(lines.contains("%last: f32[b, 1, 3] = transpose(%y_time_first_1) {perm = [1, 0, 2]}"))
  }

  @Test("GRU: the state's bias of the last gate stays with the state where the reset comes after its product")
  func gru() throws {
    let before = try statements(
      Form(
        op: "GRU",
        inputs: ["x", "w", "r", "bias"],
        constants: [floats("w", [1, 9, 2]), floats("r", [1, 9, 3]), floats("bias", [1, 18])]
      )
    )
    #expect(before.last == "%y: f32[t, 1, b, 3], %y_1: f32[1, b, 3] = gru(%y_gates, %y_r)")
    let after = try statements(
      Form(
        op: "GRU",
        inputs: ["x", "w", "r", "bias"],
        attributes: [attribute("linear_before_reset", 1), attribute("direction", "reverse")],
        constants: [floats("w", [1, 9, 2]), floats("r", [1, 9, 3]), floats("bias", [1, 18])]
      )
    )
    #expect(after.contains("%y_bias_2: f32[1, 3] = slice(%bias) {starts = [15], ends = [18], axes = [1]}"))
    #expect(
      after.last
        == "%y: f32[t, 1, b, 3], %y_1: f32[1, b, 3] = gru(%y_gates, %y_r, %y_bias_n) "
        + "{direction = \"reverse\", resets_after = 1}"
    )
  }

  @Test("what is not supported or does not fit is refused in one line")
  func refused() {
    func refuse(_ rule: String, _ part: String, _ form: Form) {
      expectRefusal(rule, part) { try statements(form) }
    }
    refuse(
      "O29",
      "is Relu, Tanh, Tanh; only sigmoid, tanh, tanh are supported",
      Form(attributes: [strings("activations", ["Relu", "Tanh", "Tanh"])])
    )
    refuse(
      "O27",
      "must be forward, reverse or bidirectional",
      Form(attributes: [attribute("direction", "up")])
    )
    refuse("O27", "hidden_size", Form(attributes: [attribute("hidden_size", 4)]))
    refuse("O27", "layout", Form(opset: 13, attributes: [attribute("layout", 1)]))
    refuse("T-lstm", "clip is -1", Form(attributes: [attribute("clip", Float(-1))]))
    refuse("T-LSTM", "must be [2, 12, ...]", Form(attributes: [attribute("direction", "bidirectional")]))
    refuse(
      "T-LSTM",
      "its bias is f32[1, 12], must be [1, 24]",
      Form(
        inputs: ["x", "w", "r", "b"],
        constants: [floats("w", [1, 12, 2]), floats("r", [1, 12, 3]), floats("b", [1, 12])]
      )
    )
    refuse(
      "T-LSTM",
      "must be [directions, gates, hidden]",
      Form(constants: [floats("w", [1, 12, 2]), floats("r", [12, 3])])
    )
    refuse("T-LSTM", "must have 3 axes", Form(x: ["t", "2"]))
    refuse("O26", "has 9 inputs", Form(inputs: ["x", "w", "r"] + Array(repeating: "", count: 6)))
    refuse("O26", "has 2 inputs", Form(op: "GRU", inputs: ["x", "w"]))
  }
}

private func strings(_ name: String, _ values: [String]) -> ProtoBytes {
  ProtoBytes().text(1, name).texts(9, values).int(20, 8)
}
