import BinaryIO
import GraphIR
import TestSupport
import Testing

@Suite("Type inference") struct TypeInferenceTests {
  /// Parses and infers; the types in the text may be vague (`?`).
  static func infer(_ text: String, _ inputTypes: [String: TensorType] = [:]) throws -> Graph {
    var graph = try GraphParser.parse(text)
    try TypeInference.infer(&graph, inputTypes: inputTypes)
    return graph
  }

  static func type(_ name: String, _ graph: Graph) throws -> TensorType {
    graph[try #require(graph.value(named: name))].type
  }

  /// What torch exports for `x.view(x.size(0), -1)`.
  static let flattening = """
    graph @g {
      input %x: f32[batch, 32, 7, 7]
      const %zero: i64[] = 0
      const %minus: i64[1] = [-1]
      %s: i64[4] = shape(%x)
      %n: i64[] = gather(%s, %zero)
      %n1: i64[1] = unsqueeze(%n) {axes = [0]}
      %t: i64[2] = concat(%n1, %minus) {axis = 0}
      %y: f32[?, ?] = reshape(%x, %t)
      %z: f32[?, ?] = relu(%y)
      output %z
    }
    """

  @Test("A symbol passes through shape, gather, unsqueeze, concat and reshape")
  func symbolicFlattening() throws {
    let graph = try Self.infer(Self.flattening)
    let values = TypeInference.shapeValues(graph)
    let t = try #require(graph.value(named: "t"))
    #expect(values[t] == [.symbol("batch"), .known(-1)])
    #expect(try Self.type("z", graph).dtype == .float32)
  }

  @Test("Binding an input binds its symbol everywhere")
  func binding() throws {
    let graph = try Self.infer(Self.flattening, ["x": TensorType(.float32, [4, 32, 7, 7])])
    #expect(try Self.type("z", graph) == TensorType(.float32, [4, 1568]))
    let values = TypeInference.shapeValues(graph)
    #expect(try values[#require(graph.value(named: "t"))] == [4, .known(-1)])
  }

  @Test(
    "Operators on indices refuse what does not fit",
    arguments: [
      ("gather_elements(%x, %f)", "T-gather_elements", "must be i64 or i32"),
      ("gather_elements(%x, %i)", "T-gather_elements", "the indices are i64[2]"),
      ("gather_elements(%x, %wide) {axis = 1}", "T-gather_elements", "the indices are i64[3, 1]"),
      ("gather_nd(%x, %long)", "T-gather_nd", "at most 2 entries"),
      ("gather_nd(%x, %i) {batch_dims = 1}", "T-gather_nd", "shares 1 axes"),
      ("scatter_nd(%x, %i, %f)", "T-scatter_nd", "the updates are f32[2]"),
      ("scatter_nd(%x, %i, %i)", "T-scatter_nd", "the updates are i64[2]"),
      ("cum_sum(%x) {axis = 2}", "T-cum_sum", "axis 2"),
      ("tile(%x) {repeats = [2]}", "T-tile", "has 1 counts"),
      ("tile(%x) {repeats = [2, -1]}", "T-tile", "repeated -1 times"),
      ("elu(%i)", "T-elu", "must be floating point"),
    ]
  )
  func indexRules(node: String, rule: String, problem: String) {
    let text = """
      graph @g {
        input %x: f32[2, 3]
        input %i: i64[2]
        input %wide: i64[3, 1]
        input %long: i64[1, 3]
        input %f: f32[2]
        %y: f32[?, ?] = \(node)
        output %y
      }
      """
    expectRefusal(rule: rule, containing: problem) { _ = try Self.infer(text) }
  }

  @Test("A symbol that one input binds is bound in the other inputs")
  func sharedSymbol() throws {
    let text = "graph @g { input %a: f32[n, 2] input %b: f32[n, 2] %y: f32[n, 2] = add(%a, %b) output %y }"
    let graph = try Self.infer(text, ["a": TensorType(.float32, [5, 2])])
    #expect(try Self.type("b", graph) == TensorType(.float32, [5, 2]))
    #expect(try Self.type("y", graph) == TensorType(.float32, [5, 2]))
    expectRefusal(rule: "O40", containing: "input \"b\": gives 'n' the extent 6") {
      _ = try Self.infer(text, ["a": TensorType(.float32, [5, 2]), "b": TensorType(.float32, [6, 2])])
    }
  }

  @Test("Inputs refuse types that do not fit them")
  func misfit() {
    let text = "graph @g { input %a: f32[n, 2] %y: f32[n, 2] = relu(%a) output %y }"
    let types: [(String, TensorType, String)] = [
      ("a", TensorType(.float32, [5, 3]), "is f32[n, 2] and cannot become f32[5, 3]"),
      ("a", TensorType(.float64, [5, 2]), "cannot become f64[5, 2]"),
      ("a", TensorType(.float32, [5]), "cannot become f32[5]"),
      ("y", TensorType(.float32, [5, 2]), "is no input"),
      ("q", TensorType(.float32, [5, 2]), "is no input"),
    ]
    for (name, type, problem) in types {
      expectRefusal(rule: "O41", containing: problem) { _ = try Self.infer(text, [name: type]) }
    }
  }

  @Test("Binding without extents keeps what is declared")
  func vagueBinding() throws {
    let text = "graph @g { input %a: f32[n, 2] %y: f32[n, 2] = relu(%a) output %y }"
    let graph = try Self.infer(text, ["a": TensorType(.float32, [.unknown, .symbol("m")])])
    #expect(try Self.type("y", graph) == TensorType(.float32, [.symbol("n"), 2]))
  }

  @Test("A declared extent that the operator contradicts is refused, naming both")
  func contradiction() {
    for (declared, found) in [
      ("f32[2, 4]", "f32[2, 3]"), ("f64[2, 3]", "f32[2, 3]"), ("f32[6]", "f32[2, 3]"),
    ] {
      expectRefusal(
        rule: "O35",
        containing: "value \"y\": is declared \(declared), but its operator makes \(found)"
      ) {
        _ = try Self.infer("graph @g { input %x: f32[2, 3] %y: \(declared) = relu(%x) output %y }")
      }
    }
  }

  @Test("A declared extent stays where the operator knows none, and yields to a sharper one")
  func merging() throws {
    let graph = try Self.infer(
      """
      graph @g {
        input %x: f32[n, 3]
        input %s: i64[2]
        %r: f32[7, m] = reshape(%x, %s)
        %y: f32[m, ?] = relu(%x)
        output %y
      }
      """
    )
    #expect(try Self.type("r", graph) == TensorType(.float32, [7, .symbol("m")]))
    #expect(try Self.type("y", graph) == TensorType(.float32, [.symbol("n"), 3]))
  }

  @Test(
    "Arity is checked before the rule",
    arguments: [
      ("%y: f32[2] = relu(%x, %x)", "node \"y\" (relu): has 2 operands, the operator takes 1"),
      ("%y: f32[2] = relu()", "has 0 operands, the operator takes 1"),
      ("%y: f32[2] = relu(_)", "lacks operand 0"),
      ("%y: f32[2], %z: f32[2] = relu(%x)", "has 2 outputs, the operator makes 1"),
      ("%y: f32[2] = slice(%x, %x, %x, %x, %x, %x)", "has 6 operands, the operator takes 1 to 5"),
      (
        "%y: f32[1], %z: f32[1], %w: f32[1] = split(%x) {sizes = [1, 1]}",
        "has 3 outputs, the operator makes 2"
      ),
    ]
  )
  func arity(node: String, problem: String) {
    expectRefusal(rule: "O26", containing: problem) {
      _ = try Self.infer("graph @g { input %x: f32[2] \(node) output %y }")
    }
  }
}

@Suite("Shape arithmetic") struct ShapeArithmeticTests {
  /// The elements of `%y`, the output of one node over what `prelude` defines.
  private func elements(_ type: String, _ node: String, prelude: String = "") throws -> [Dim]? {
    let graph = try TypeInferenceTests.infer(
      """
      graph @g {
        input %x: f32[n, 3, 224, m]
        const %two: i64[] = 2
        const %v: i64[4] = [10, 20, -30, 7]
        const %one: i64[1] = [1]
        const %i: i64[2] = [0, -1]
        %s: i64[4] = shape(%x)
        \(prelude)
        %y: \(type) = \(node)
        output %y
      }
      """
    )
    return try TypeInference.shapeValues(graph)[#require(graph.value(named: "y"))]
  }

  @Test(
    "Known elements and symbols",
    arguments: [
      ("i64[2]", "shape(%x) {start = 1, end = -1}", "3 224"),
      ("i64[1]", "shape(%x) {start = -1}", "m"),
      ("i64[]", "gather(%s, %two)", "224"),
      ("i64[2]", "gather(%s, %i)", "n m"),
      ("i64[2]", "gather(%v, %i)", "10 7"),
      ("i64[2]", "slice(%s) {starts = [1], ends = [3]}", "3 224"),
      ("i64[2]", "slice(%s) {starts = [-1], ends = [-9223372036854775808], steps = [-2]}", "m 3"),
      ("i64[4]", "slice(%v) {starts = [0], ends = [9223372036854775807]}", "10 20 -30 7"),
      ("i64[3]", "slice(%v, %one, %big)", "20 -30 7"),
      ("i64[8]", "concat(%s, %v) {axis = 0}", "n 3 224 m 10 20 -30 7"),
      ("i64[]", "squeeze(%one) {axes = [0]}", "1"),
      ("i64[1]", "unsqueeze(%two) {axes = [0]}", "2"),
      ("i64[1]", "reshape(%two) {shape = [1]}", "2"),
      ("i32[4]", "cast(%s) {to = \"i32\"}", "n 3 224 m"),
      ("i8[4]", "cast(%s) {to = \"i8\"}", "? 3 ? ?"),
      ("i64[4]", "add(%s, %two)", "? 5 226 ?"),
      ("i64[4]", "sub(%v, %one)", "9 19 -31 6"),
      ("i64[4]", "sub(%s, %s)", "0 0 0 0"),
      ("i64[4]", "mul(%s, %one)", "n 3 224 m"),
      ("i64[4]", "mul(%s, %two)", "? 6 448 ?"),
      ("i64[4]", "div(%v, %two)", "5 10 -15 3"),
      ("i64[4]", "div(%s, %one)", "n 3 224 m"),
      ("i64[4]", "mod(%v, %two)", "0 0 0 1"),
      ("i64[4]", "max(%v, %two)", "10 20 2 7"),
      ("i64[1]", "reduce_prod(%v)", "-42000"),
      ("i64[]", "reduce_sum(%v) {keep_dims = 0}", "7"),
      ("i64[1]", "reduce_min(%v)", "-30"),
      ("i64[4]", "neg(%v)", "-10 -20 30 -7"),
      ("i64[2]", "constant_of_shape(%pair) {dtype = \"i64\", value = 3}", "3 3"),
      ("i64[5]", "range(%zero, %ten, %two)", "0 2 4 6 8"),
      ("i64[4]", "where(%c, %s, %v)", "10 3 -30 m"),
      ("i64[4]", "where(%e, %v, %s)", "n 3 224 m"),
      ("bool[4]", "equal(%v, %ten)", "1 0 0 0"),
      ("i64[3]", "expand(%one) {shape = [3]}", "1 1 1"),
    ]
  )
  func known(type: String, node: String, expected: String) throws {
    let prelude = """
      const %big: i64[1] = [9223372036854775807]
      const %pair: i64[1] = [2]
      const %zero: i64[] = 0
      const %ten: i64[] = 10
      const %negative: i64[] = -1
      const %c: bool[4] = [0, 1, 0, 1]
      %e: bool[4] = equal(%s, %negative)
      """
    let value = try #require(try elements(type, node, prelude: prelude))
    #expect(value.map(\.description).joined(separator: " ") == expected)
  }

  @Test(
    "What cannot be followed is left alone",
    arguments: [
      ("i64[4]", "div(%v, %zero)"),
      ("i64[1]", "reduce_prod(%s)"),
      ("i64[]", "gather(%f, %zero)"),
      ("f32[4]", "cast(%v) {to = \"f32\"}"),
      ("i64[65]", "range(%zero, %far, %step)"),
      ("i64[1]", "mul(%huge, %huge)"),
      ("i64[1]", "add(%huge, %huge)"),
      ("i64[2]", "shape(%x) {start = 4}"),
    ]
  )
  func unknown(type: String, node: String) throws {
    let prelude = """
      input %f: i64[4]
      const %zero: i64[] = 0
      const %far: i64[] = 65
      const %step: i64[] = 1
      const %huge: i64[1] = [9223372036854775807]
      """
    let type = node.contains("start = 4") ? "i64[0]" : type
    #expect((try elements(type, node, prelude: prelude) ?? []).isEmpty)
  }

  @Test("The parts of a split vector are followed")
  func split() throws {
    let graph = try TypeInferenceTests.infer(
      """
      graph @g {
        input %x: f32[n, 3, 224, m]
        %s: i64[4] = shape(%x)
        %a: i64[1], %b: i64[3] = split(%s) {sizes = [1, 3]}
        output %b
      }
      """
    )
    let values = TypeInference.shapeValues(graph)
    #expect(try values[#require(graph.value(named: "a"))] == [.symbol("n")])
    #expect(try values[#require(graph.value(named: "b"))] == [3, 224, .symbol("m")])
  }

  @Test("Long vectors and wide constants are not followed")
  func long() throws {
    var graph = Graph(name: "g")
    let long = graph.addConstant("long", try .int64s(Array(0..<65)))
    let fits = graph.addConstant("fits", try .int64s(Array(0..<64)))
    let matrix = graph.addConstant("matrix", try .int64s([1, 2], [1, 2]))
    let values = TypeInference.shapeValues(graph)
    #expect(values[long] == nil && values[matrix] == nil && values[fits]?.count == 64)
  }
}
