import GraphIR
import TestSupport
import Testing

@Suite("lstm and gru") struct RecurrenceTests {
  private func check(_ op: String, _ operands: [String], _ attributes: String = "", results: String) throws {
    let names = operands.indices.map { operands[$0] == "_" ? "_" : "%x\($0)" }
    let inputs = operands.enumerated().compactMap { $1 == "_" ? nil : "  input %x\($0): \($1)" }
    var graph = try GraphParser.parse(
      """
      graph @g {
      \(inputs.joined(separator: "\n"))
        \(results) = \(op)(\(names.joined(separator: ", ")))\(attributes)
        output %y
      }
      """
    )
    try TypeInference.infer(&graph)
    try GraphValidator.validate(graph)
    let text = GraphPrinter.text(graph, constants: .small(16))
    #expect(GraphPrinter.text(try GraphParser.parse(text), constants: .small(16)) == text)
  }

  private func lstm(_ operands: [String], _ attributes: String = "") throws {
    try check(
      "lstm",
      operands,
      attributes,
      results: "%y: f32[t, 1, b, 3], %h: f32[1, b, 3], %c: f32[1, b, 3]"
    )
  }

  private func gru(_ operands: [String], _ attributes: String = "") throws {
    try check("gru", operands, attributes, results: "%y: f32[t, 1, b, 3], %h: f32[1, b, 3]")
  }

  @Test("symbolic length and batch, all operands, all attributes")
  func accepted() throws {
    let state = "f32[1, b, 3]"
    try lstm(["f32[t, b, 12]", "f32[12, 3]"])
    try lstm(["f32[t, b, 12]", "f32[12, 3]", "_", state], " {direction = \"reverse\", clip = 1.0}")
    try lstm(
      ["f32[t, b, 12]", "f32[12, 3]", "i32[b]", state, state, "f32[9]"],
      " {dynamic = 1, coupled = 1}"
    )
    try check(
      "lstm",
      ["f32[t, b, 24]", "f32[24, 3]", "_", "_", "f32[2, b, 3]", "f32[18]"],
      " {direction = \"bidirectional\"}",
      results: "%y: f32[t, 2, b, 3], %h: f32[2, b, 3], %c: f32[2, b, 3]"
    )
    try gru(["f32[t, b, 9]", "f32[9, 3]", "_", "i32[b]", state])
    try gru(["f32[t, b, 9]", "f32[9, 3]", "f32[3]"], " {resets_after = 1}")
  }

  @Test(
    "other operands are refused",
    arguments: [
      (["f32[t, b, 12]", "f32[12, 4]"], "4 rows per column"),
      (["f32[t, 12]", "f32[12, 3]"], "[length, batch, gates]"),
      (["f32[t, b, 12]", "f32[1, 12, 3]"], "must be a f32 matrix"),
      (["f32[t, b, 12]", "f32[24, 3]"], "columns of input 0"),
      (["f32[t, b, 12]", "f16[12, 3]"], "must be a f32 matrix"),
      (["f32[t, b, 12]", "f32[12, 3]", "i64[b]"], "must be i32 [batch]"),
      (["f32[t, 2, 12]", "f32[12, 3]", "i32[3]"], "number of lengths"),
      (["f32[t, 2, 12]", "f32[12, 3]", "_", "f32[1, 3, 3]"], "initial state"),
      (["f32[t, b, 12]", "f32[12, 3]", "_", "_", "f32[b, 3]"], "initial cell"),
      (["f32[t, b, 12]", "f32[12, 3]", "_", "_", "_", "f32[12]"], "peephole"),
      (["i32[t, b, 12]", "f32[12, 3]"], "floating point"),
    ]
  )
  func operands(operands: [String], problem: String) {
    expectRefusal(rule: "T-lstm", containing: problem) { try lstm(operands) }
  }

  @Test("a clip of 0, directions of another name and a bias without its reset are refused")
  func attributes() {
    let operands = ["f32[t, b, 12]", "f32[12, 3]"]
    expectRefusal(rule: "T-lstm", containing: "clip is 0") { try lstm(operands, " {clip = 0.0}") }
    expectRefusal(rule: "O27", containing: "direction") { try lstm(operands, " {direction = \"both\"}") }
    expectRefusal(rule: "T-gru", containing: "resets before") {
      try gru(["f32[t, b, 9]", "f32[9, 3]", "f32[3]"])
    }
  }
}
