import BinaryIO
import GraphIR
import Testing

@testable import ONNXReader

struct ImporterTests {
  /// `relu` with changes.
  private func model(_ change: (inout ModelBytes) -> Void) -> ModelBytes {
    var model = ModelBytes.relu
    change(&model)
    return model
  }

  @Test("A small model becomes a graph with its metadata")
  func smallModel() throws {
    let entry = ProtoBytes().text(1, "task").text(2, "test")
    let graph = try model { $0.modelFields = ProtoBytes().text(2, "maker").text(3, "1.2").message(14, entry) }
      .read()
    #expect(graph.name == "net")
    #expect(graph.metadata == ["source": "onnx opset 17", "producer": "maker 1.2", "onnx.task": "test"])
    #expect(
      try ModelBytes.relu.lines() == [
        "input %x: f32[batch, 3]", "%y: f32[batch, 3] = relu(%x)", "output %y",
      ]
    )
  }

  // MARK: Model

  @Test("The file format's version must be known", arguments: [0, 2, 14, -1])
  func irVersion(version: Int) {
    expectRefusal("O10", "ir_version \(version)") { try model { $0.irVersion = version }.read() }
  }

  @Test("The opset must be one that is read", arguments: [1, 6, 23])
  func opset(version: Int) {
    expectRefusal("O11", "opset \(version)", "7 to 22") { try model { $0.operatorSet = version }.read() }
  }

  @Test("Opsets are imported once, and the default one always")
  func opsets() {
    let again = ProtoBytes().message(8, ProtoBytes().text(1, "ai.onnx").int(2, 17))
    expectRefusal("O11", "twice") { try model { $0.modelFields = again }.read() }
    let none = ProtoBytes().int(1, 8).message(7, ModelBytes.relu.graph).message(
      8,
      ProtoBytes().text(1, "x").int(2, 1)
    )
    expectRefusal("O11", "no version") { try readModel(none.bytes) }
  }

  @Test("Metadata keys are unique")
  func metadata() {
    let entry = ProtoBytes().text(1, "a").text(2, "b")
    expectRefusal("O12", "\"a\"") {
      try model { $0.modelFields = ProtoBytes().messages(14, [entry, entry]) }.read()
    }
  }

  // MARK: Graph

  @Test("Inputs are named and unique")
  func inputs() {
    expectRefusal("O20") { try model { $0.inputs.append(value("", 1, ["1"])) }.read() }
    expectRefusal("O20", "twice") { try model { $0.inputs.append($0.inputs[0]) }.read() }
  }

  @Test("Initializers are named, unique and dense")
  func initializers() {
    expectRefusal("O21", "no name") { try model { $0.initializers = [floats("", [1])] }.read() }
    expectRefusal("O21", "\"w\"") {
      try model { $0.initializers = [floats("w", [1]), floats("w", [1])] }.read()
    }
    expectRefusal("O36", "sparse") {
      try model { $0.graphFields = ProtoBytes().message(15, ProtoBytes()) }.read()
    }
  }

  @Test("A value is defined once")
  func singleAssignment() {
    expectRefusal("O22", "\"x\"") { try model { $0.nodes.append(node("Relu", ["x"], ["x"])) }.read() }
    expectRefusal("O22", "\"y\"") { try model { $0.nodes.append(node("Relu", ["x"], ["y"])) }.read() }
    expectRefusal("O22", "two outputs") {
      try model { $0.nodes = [node("Split", ["x"], ["a", "a"])] }.read()
    }
  }

  @Test("An operand is defined before its use")
  func order() {
    expectRefusal("O23", "\"z\"", "never defined") {
      try model { $0.nodes = [node("Relu", ["z"], ["y"])] }.read()
    }
    expectRefusal("O23", "\"z\"", "defined later, by node 1") {
      try model { $0.nodes = [node("Relu", ["z"], ["y"]), node("Relu", ["x"], ["z"])] }.read()
    }
    expectRefusal("O23", "defined later, by node 0") {
      try model { $0.nodes = [node("Relu", ["y"], ["y"])] }.read()
    }
  }

  @Test("Outputs exist, are defined and unique")
  func outputs() {
    expectRefusal("O25") { try model { $0.outputs = [] }.read() }
    expectRefusal("O24", "\"z\"", "never defined") { try model { $0.outputs = [value("z", 1, [])] }.read() }
    expectRefusal("O24", "twice") { try model { $0.outputs.append($0.outputs[0]) }.read() }
  }

  @Test("Domains must be imported, operands within the operator's number")
  func nodes() {
    let twice = ProtoBytes().message(8, ProtoBytes().text(1, "custom").int(2, 1))
    expectRefusal("O29", "custom.Relu (1x)") {
      try model {
        $0.nodes = [node("Relu", ["x"], ["y"], domain: "custom")]
        $0.modelFields = twice
      }.read()
    }
    expectRefusal("O26", "2 inputs", "node \"y\" (Relu, node 0)") {
      try model { $0.nodes = [node("Relu", ["x", "x"], ["y"])] }.read()
    }
    expectRefusal("O26", "0 outputs") { try model { $0.nodes.append(node("Relu", ["x"], [])) }.read() }
    expectRefusal("O26", "input 0 is missing") { try model { $0.nodes = [node("Relu", [""], ["y"])] }.read() }
    expectRefusal("O26", "from 20 on", "opset 17") {
      try model { $0.nodes = [node("Gelu", ["x"], ["y"])] }.read()
    }
    expectRefusal("O26", "up to 9") { try model { $0.nodes = [node("Upsample", ["x"], ["y"])] }.read() }
  }

  @Test("All unsupported operators are listed in one refusal")
  func unsupported() {
    let nodes = [
      node("If", ["x"], ["a"]), node("FusedConv", ["x"], ["b"], domain: "com.microsoft"),
      node("Local", ["x"], ["c"], domain: "my"), node("If", ["x"], ["d"]), node("Relu", ["x"], ["y"]),
    ]
    let function = ProtoBytes().message(25, ProtoBytes().text(1, "Local").text(10, "my"))
    expectRefusal(
      "O29",
      "3 operators",
      "node \"a\"",
      "If (2x), com.microsoft.FusedConv (1x), my.Local (local function) (1x)"
    ) {
      try model {
        $0.nodes = nodes
        $0.modelFields = function
      }.read()
    }
  }

  @Test("The default domain may be spelled out")
  func domain() throws {
    let graph = try model { $0.nodes = [node("Relu", ["x"], ["y"], domain: "ai.onnx")] }.read()
    #expect(graph.order.count == 1)
  }

  // MARK: Attributes

  @Test("Attributes are known, unique and of their type")
  func attributes() {
    func leaky(_ attributes: ProtoBytes...) throws -> Graph {
      try model { $0.nodes = [node("LeakyRelu", ["x"], ["y"], attributes)] }.read()
    }
    let alpha = attribute("alpha", 0.5 as Float)
    #expect(throws: Never.self) { try leaky(alpha) }
    expectRefusal("O27", "'beta'", "not known") { try leaky(attribute("beta", 1)) }
    expectRefusal("O27", "'alpha'", "twice") { try leaky(alpha, alpha) }
    expectRefusal("O27", "'alpha'", "must be 1 (float)") { try leaky(attribute("alpha", 1)) }
    expectRefusal("O27", "2 values") {
      try leaky(ProtoBytes().text(1, "alpha").float(2, 1).int(3, 1).int(20, 1))
    }
    expectRefusal("O27", "declared as type 2") {
      try leaky(ProtoBytes().text(1, "alpha").float(2, 1).int(20, 2))
    }
    expectRefusal("O27", "no name") { try leaky(ProtoBytes().float(2, 1).int(20, 1)) }
    expectRefusal("O28", "'alpha'") { try leaky(ProtoBytes().text(1, "alpha").text(21, "a").int(20, 1)) }
    expectRefusal("O29", "graph") {
      try leaky(ProtoBytes().text(1, "alpha").message(6, ProtoBytes()).int(20, 5))
    }
  }

  // MARK: Types

  @Test("Declared types agree with the inferred ones")
  func declaredTypes() {
    expectRefusal("O35", "value \"y\"", "f32[batch, 4]", "f32[batch, 3]") {
      try model { $0.outputs = [value("y", 1, ["batch", "4"])] }.read()
    }
    expectRefusal("O35", "i64[batch, 3]") {
      try model { $0.outputs = [value("y", 7, ["batch", "3"])] }.read()
    }
    expectRefusal("O35", "f32[3]") { try model { $0.outputs = [value("y", 1, ["3"])] }.read() }
    expectRefusal("O35", "value \"x\"") { try model { $0.valueInfo = [value("x", 1, ["1", "2"])] }.read() }
    #expect(throws: Never.self) { try model { $0.outputs = [value("y", 1, ["7", "3"])] }.read() }
  }

  @Test("Extents are numbers, symbols or new symbols")
  func extents() throws {
    let lines = try model {
      $0.inputs = [value("x", 1, ["?", "2*h", "2*h", "?"])]
      $0.outputs = [ProtoBytes().text(1, "y")]
    }.lines()
    #expect(
      lines[0] == "input %x: f32[batch, _2_h, _2_h, dim]"
        || lines[0] == "input %x: f32[batch, _2_h, _2_h, dim_1]"
    )
    expectRefusal("O41", "-2") { try model { $0.inputs = [value("x", 1, ["-2"])] }.read() }
    expectRefusal("L2") { try model { $0.inputs = [value("x", 1, ["3000000000"])] }.read() }
    expectRefusal("L1") { try model { $0.inputs = [value("x", 1, Array(repeating: "1", count: 9))] }.read() }
    expectRefusal("O36", "no tensor") {
      try model { $0.inputs = [ProtoBytes().text(1, "x").message(2, ProtoBytes())] }.read()
    }
    expectRefusal("O40", "no shape") {
      let type = ProtoBytes().message(1, ProtoBytes().int(1, 1))
      return try model { $0.inputs = [ProtoBytes().text(1, "x").message(2, type)] }.read()
    }
  }

  // MARK: Values

  @Test("An initializer among the inputs is a constant")
  func defaultValues() throws {
    let lines = try model {
      $0.irVersion = 3
      $0.nodes = [node("Add", ["x", "w"], ["y"])]
      $0.inputs.append(value("w", 1, ["3"]))
      $0.initializers = [floats("w", [3])]
    }.lines()
    #expect(
      lines == [
        "input %x: f32[batch, 3]", "const %w: f32[3] = [1, 1, 1]", "%y: f32[batch, 3] = add(%x, %w)",
        "output %y",
      ]
    )
  }

  @Test("Outputs that are other names get values of their own")
  func aliasedOutputs() throws {
    let lines = try model {
      $0.nodes = [
        node("Relu", ["x"], ["r"]), node("Identity", ["r"], ["y"]), node("Identity", ["x"], ["same"]),
        node("Identity", ["r"], ["again"]), node("Identity", ["w"], ["constant"]),
      ]
      $0.initializers = [floats("w", [1])]
      $0.outputs = ["y", "same", "again", "constant"].map { ProtoBytes().text(1, $0) }
    }.lines()
    #expect(
      lines == [
        "input %x: f32[batch, 3]", "const %w: f32[1] = [1]", "%y: f32[batch, 3] = relu(%x)",
        "%same: f32[batch, 3] = reshape(%x) {shape = [0, 0]}",
        "%again: f32[batch, 3] = reshape(%y) {shape = [0, 0]}",
        "%constant: f32[1] = reshape(%w) {shape = [0]}", "output %y", "output %same", "output %again",
        "output %constant",
      ]
    )
  }

  @Test("Names made during the import avoid the file's")
  func freshNames() throws {
    let lines = try model {
      $0.nodes = [node("Sum", ["x", "x", "x"], ["y"]), node("Relu", ["x"], ["y_add"])]
      $0.outputs.append(ProtoBytes().text(1, "y_add"))
    }.lines()
    #expect(lines.contains("%y_add: f32[batch, 3] = relu(%x)"))
    #expect(lines.contains("%y_add_1: f32[batch, 3] = add(%x, %x)"))
  }
}
