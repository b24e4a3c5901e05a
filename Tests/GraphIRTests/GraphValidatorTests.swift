import BinaryIO
import GraphIR
import TestSupport
import Testing

@Suite("Validator: structure and limits") struct GraphValidatorTests {
  static let scalar = TensorType(.float32, [])

  /// `%y = relu(%x)`, with `%y` as the output.
  static func small(_ type: TensorType = scalar) -> Graph {
    var graph = Graph(name: "g")
    let x = graph.addInput("x", type)
    let node = graph.addNode(.unary(Unary(.relu)), inputs: [x], outputNames: ["y"], outputTypes: [type])
    graph.addOutput(graph[node].outputs[0])
    return graph
  }

  static func validate(_ graph: Graph, _ change: (inout Limits) -> Void = { _ in }) throws {
    var limits = Limits.standard
    change(&limits)
    try GraphValidator.validate(graph, limits: limits)
  }

  @Test("A plain graph is accepted, also when an input is an output")
  func accepted() throws {
    try Self.validate(Self.small())
    var graph = Self.small()
    graph.addOutput(graph.inputs[0])
    try Self.validate(graph)
  }

  @Test("O20: names are not empty")
  func emptyName() {
    var graph = Self.small()
    graph.rename(graph.inputs[0], to: "")
    expectRefusal(rule: "O20", containing: "value: has an empty name") { try Self.validate(graph) }
  }

  @Test("O23: operands are defined before")
  func order() throws {
    var graph = Self.small()
    let later = graph.addNode(
      .unary(Unary(.relu)),
      inputs: [graph.inputs[0]],
      outputNames: ["later"],
      outputTypes: [Self.scalar]
    )
    graph.setInputs([graph[later].outputs[0]], of: graph.order[0])
    expectRefusal(rule: "O23", containing: "operand 0, \"later\", is defined later, by node \"later\" (relu)")
    {
      try Self.validate(graph)
    }
    try graph.sortTopologically()
    try Self.validate(graph)
  }

  @Test("O23: operands exist")
  func removed() {
    var graph = Self.small()
    let spare = graph.addNode(
      .unary(Unary(.relu)),
      inputs: [graph.inputs[0]],
      outputNames: ["spare"],
      outputTypes: [Self.scalar]
    )
    let output = graph[spare].outputs[0]
    graph.erase(spare)
    graph.setInputs([output], of: graph.order[0])
    expectRefusal(rule: "O23", containing: "operand 0 was removed") { try Self.validate(graph) }
  }

  @Test("O24: outputs exist and are unique")
  func outputs() {
    var twice = Self.small()
    twice.addOutput(twice.outputs[0])
    expectRefusal(rule: "O24", containing: "\"y\" is listed twice") { try Self.validate(twice) }
    var erased = Self.small()
    let spare = erased.addNode(
      .unary(Unary(.relu)),
      inputs: [erased.inputs[0]],
      outputNames: ["spare"],
      outputTypes: [Self.scalar]
    )
    let output = erased[spare].outputs[0]
    erased.erase(spare)
    erased.addOutput(output)
    expectRefusal(rule: "O24", containing: "nothing makes") { try Self.validate(erased) }
  }

  @Test("O25: there is an output")
  func noOutput() {
    var graph = Graph(name: "g")
    graph.addInput("x", Self.scalar)
    expectRefusal(rule: "O25") { try Self.validate(graph) }
  }

  @Test("O26: operands and outputs are as many as the operator takes and makes")
  func arity() {
    var graph = Self.small()
    graph.setInputs([], of: graph.order[0])
    expectRefusal(rule: "O26", containing: "node \"y\" (relu): has 0 operands") { try Self.validate(graph) }
  }

  @Test("O31: extents are not negative")
  func negative() {
    expectRefusal(rule: "O31", containing: "extent -1") {
      try Self.validate(Self.small(TensorType(.float32, [-1])))
    }
  }

  @Test("O33: bool constants hold 0 and 1 only")
  func bools() throws {
    for (last, isLegal) in [(UInt8(1), true), (2, false)] {
      var graph = Self.small()
      graph.addOutput(graph.addConstant("c", try .make(.bool, [2], [0, last])))
      if isLegal {
        try Self.validate(graph)
      } else {
        expectRefusal(rule: "O33", containing: "value \"c\"") { try Self.validate(graph) }
      }
    }
  }

  @Test("O33: a constant has the type of its value")
  func constantType() throws {
    var graph = Self.small()
    let c = graph.addConstant("c", try .floats([1, 2]))
    graph.addOutput(c)
    graph.setType(TensorType(.float32, [3]), of: c)
    expectRefusal(rule: "O33", containing: "holds f32[2], but is declared f32[3]") {
      try Self.validate(graph)
    }
  }

  @Test("O35: types agree with the operators' rules")
  func types() {
    var graph = Self.small(TensorType(.float32, [2, 3]))
    graph.setType(TensorType(.float32, [2, 4]), of: graph.outputs[0])
    expectRefusal(rule: "O35") { try Self.validate(graph) }
  }

  @Test("The operators' own rules are checked")
  func operatorRule() {
    var graph = Self.small(TensorType(.float32, [2, 3]))
    graph.setOp(.softmax(Softmax(axis: 2)), of: graph.order[0])
    expectRefusal(rule: "T-softmax") { try Self.validate(graph) }
  }

  @Test("L1, L2, L3: rank, extents and elements are limited")
  func shapes() throws {
    try Self.validate(Self.small(TensorType(.float32, known: Array(repeating: 1, count: 8))))
    expectRefusal(rule: "L1", containing: "rank 9, at most 8") {
      try Self.validate(Self.small(TensorType(.float32, known: Array(repeating: 1, count: 9))))
    }
    try Self.validate(Self.small(TensorType(.float32, [2_147_483_647])))
    expectRefusal(rule: "L2") { try Self.validate(Self.small(TensorType(.float32, [2_147_483_648]))) }
    try Self.validate(Self.small(TensorType(.float32, known: [1 << 20, 1 << 20])))
    expectRefusal(rule: "L3", containing: "1099512676352 elements") {
      try Self.validate(Self.small(TensorType(.float32, known: [1 << 20, (1 << 20) + 1])))
    }
    let hidden = TensorType(.float32, [0, 2_147_483_647, 2_147_483_647, 2_147_483_647])
    expectRefusal(rule: "L3", containing: "over 2^63") { try Self.validate(Self.small(hidden)) }
  }

  @Test("L5: values and nodes are limited")
  func counts() throws {
    try Self.validate(Self.small()) { $0.objects = 2 }
    expectRefusal(rule: "L5", containing: "has 2 values, at most 1") {
      try Self.validate(Self.small()) { $0.objects = 1 }
    }
  }

  @Test("L6: operands, attributes and items are limited")
  func nodes() throws {
    var graph = Self.small(TensorType(.float32, [1, 1]))
    graph.setOp(.softmax(Softmax(axis: 1, isLog: true)), of: graph.order[0])
    try Self.validate(graph) { ($0.nodeArity, $0.attributes) = (2, 2) }
    expectRefusal(rule: "L6", containing: "2 operands and outputs") {
      try Self.validate(graph) { $0.nodeArity = 1 }
    }
    expectRefusal(rule: "L6", containing: "2 attributes") { try Self.validate(graph) { $0.attributes = 1 } }
    graph.setOp(.transpose(Transpose(perm: [0, 1])), of: graph.order[0])
    try Self.validate(graph) { $0.attributeItems = 2 }
    expectRefusal(rule: "L6", containing: "attribute 'perm' has 2 items") {
      try Self.validate(graph) { $0.attributeItems = 1 }
    }
  }

  @Test("L7: names and texts are limited and printable")
  func names() throws {
    var graph = Self.small()
    graph.rename(graph.inputs[0], to: "long")
    graph.metadata["k"] = "text"
    try Self.validate(graph) { ($0.nameBytes, $0.textBytes) = (4, 4) }
    expectRefusal(rule: "L7", containing: "name of 4 bytes") { try Self.validate(graph) { $0.nameBytes = 3 } }
    expectRefusal(rule: "L7", containing: "metadata \"k\": has 4 bytes") {
      try Self.validate(graph) { $0.textBytes = 3 }
    }
    graph.rename(graph.inputs[0], to: "a\u{1B}[31m")
    expectRefusal(rule: "L7", containing: "control character") { try Self.validate(graph) }
  }

  @Test("Batch normalisation needs var + epsilon above 0 in every channel")
  func variance() throws {
    func text(_ variance: String, _ epsilon: String) -> String {
      """
      graph @g {
        input %x: f32[n, 2]
        const %p: f32[2] = [1, 1]
        const %v: f32[2] = [\(variance)]
        %y: f32[n, 2] = batch_norm(%x, %p, %p, %p, %v) {epsilon = \(epsilon)}
        output %y
      }
      """
    }
    _ = try graph(text("1, 0", "1e-5"))
    expectRefusal(rule: "T-batch_norm", containing: "of channel 1") { _ = try graph(text("1, 0", "0")) }
    expectRefusal(rule: "T-batch_norm", containing: "of channel 0") { _ = try graph(text("-1, 1", "1e-5")) }
    expectRefusal(rule: "T-batch_norm", containing: "variance nan") { _ = try graph(text("1, nan", "1e-5")) }
  }

  @Test("Constants with NaN or infinity are counted")
  func nonFinite() throws {
    let graph = try graph(
      """
      graph @g {
        const %clean: f32[2] = [1, 3.4028235e+38]
        const %dirty: f32[3] = [nan, 1, -inf]
        const %half: f16[2] = [65504, inf]
        const %mask: f32[3] = [0, -inf, 0]
        const %masked: f16[] = -inf
        const %ints: i32[1] = [2139095040]
        output %clean
      }
      """
    )
    let found = GraphValidator.nonFiniteConstants(graph)
    #expect(found.map(\.name) == ["dirty", "half"] && found.map(\.count) == [2, 1])
  }
}
