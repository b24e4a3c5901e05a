import GraphIR
import Testing

@testable import Passes

@Suite("RecognizeGelu")
struct RecognizeGeluTests {
  private func recognized(_ nodes: String) throws -> String {
    let lines = nodes.split(separator: ";").map { line in
      let parts = line.split(separator: "=", maxSplits: 1)
      return "\(parts[0].filter { $0 != " " }): f32[4] =\(parts[1])"
    }
    return try run(
      .recognizeGelu,
      """
      graph @net {
        input %x: f32[4]
        const %half: f32[] = 0.5
        const %one: f32[] = 1
        const %three: f32[] = 3
        const %root: f32[] = 1.4142135
        const %reciprocal: f32[] = 0.70710677
        const %cubic: f32[] = 0.044715
        const %c: f32[] = 0.7978846
        \(lines.joined(separator: "\n"))
        output %y
      }
      """
    ).body
  }

  @Test(
    "the erf form in all orders",
    arguments: [
      "%a = div(%x, %root); %b = erf(%a); %d = add(%b, %one); %e = mul(%x, %d); %y = mul(%e, %half)",
      "%a = mul(%x, %reciprocal); %b = erf(%a); %d = add(%one, %b); %e = mul(%x, %half); %y = mul(%e, %d)",
      "%a = div(%x, %root); %b = erf(%a); %d = add(%b, %one); %e = mul(%half, %d); %y = mul(%x, %e)",
    ]
  )
  func erf(nodes: String) throws {
    #expect(try recognized(nodes) == "%y: f32[4] = gelu(%x)\noutput %y")
  }

  @Test(
    "the tanh form, with a power or products",
    arguments: [
      "%p = pow(%x, %three);", "%s = mul(%x, %x); %p = mul(%s, %x);",
    ]
  )
  func tanh(cube: String) throws {
    let nodes =
      cube + "%q = mul(%p, %cubic); %r = add(%x, %q); %s2 = mul(%r, %c); %t = tanh(%s2); %u = add(%t, %one);"
      + "%v = mul(%x, %u); %y = mul(%v, %half)"
    #expect(try recognized(nodes) == "%y: f32[4] = gelu(%x) {tanh = 1}\noutput %y")
  }

  @Test(
    "other numbers and values with other users are left alone",
    arguments: [
      "%a = div(%x, %three); %b = erf(%a); %d = add(%b, %one); %e = mul(%x, %d); %y = mul(%e, %half)",
      "%a = div(%x, %root); %b = erf(%a); %d = add(%b, %one); %e = mul(%x, %d); %y = mul(%e, %three)",
      "%a = div(%x, %root); %b = erf(%a); %d = add(%b, %one); %e = mul(%x, %d); %f = mul(%e, %half); %y = add(%f, %b)",
    ]
  )
  func alone(nodes: String) throws { #expect(!(try recognized(nodes)).contains("gelu")) }
}

@Suite("RecognizeLayerNorm")
struct RecognizeLayerNormTests {
  private func recognized(_ square: String, _ tail: String, axes: String = "[-1]") throws -> String {
    try run(
      .recognizeLayerNorm,
      """
      graph @net {
        input %x: f32[3, 4]
        const %two: f32[] = 2
        const %epsilon: f32[] = 0.00001
        const %gamma: f32[4] = [1, 2, 3, 4]
        const %beta: f32[4] = [4, 3, 2, 1]
        %m: f32[3, 1] = reduce_mean(%x) {axes = \(axes)}
        %d: f32[3, 4] = sub(%x, %m)
        %s: f32[3, 4] = \(square)
        %v: f32[3, 1] = reduce_mean(%s) {axes = \(axes)}
        %e: f32[3, 1] = add(%v, %epsilon)
        %r: f32[3, 1] = sqrt(%e)
        %n: f32[3, 4] = div(%d, %r)
        \(tail)
      }
      """
    ).body
  }

  private let scaled = """
    %g: f32[3, 4] = mul(%n, %gamma)
      %y: f32[3, 4] = add(%g, %beta)
      output %y
    """

  @Test("with a power or a product", arguments: ["pow(%d, %two)", "mul(%d, %d)"])
  func whole(square: String) throws {
    let expected = "%y: f32[3, 4] = layer_norm(%x, %gamma, %beta)\noutput %y"
    #expect(try removingDead(recognized(square, scaled)) == expected)
  }

  @Test("without scale and shift, the scale is 1")
  func bare() throws {
    let body = try recognized("mul(%d, %d)", "output %n")
    #expect(removingDead(body) == "%n: f32[3, 4] = layer_norm(%x, %n.scale)\noutput %n")
  }

  @Test("a positive last axis counts as well, another square does not")
  func variants() throws {
    #expect(try recognized("mul(%d, %d)", scaled, axes: "[1]").contains("layer_norm"))
    #expect(!(try recognized("mul(%d, %x)", scaled)).contains("layer_norm"))
  }

  /// The lines that the result needs.
  private func removingDead(_ body: String) -> String {
    body.split(separator: "\n").filter { $0.contains("layer_norm") || $0.hasPrefix("output") }.joined(
      separator: "\n"
    )
  }
}

@Suite("Linears of transformers")
struct TransformerLinearTests {
  private let text = """
    graph @net {
      input %x: f32[batch, 3, 2]
      const %w: f32[2, 2] = [1, 2, 3, 4]
      const %b: f32[2] = [5, 6]
      const %gamma: f32[2] = [0.5, 2]
      %p: f32[batch, 3, 2] = matmul(%x, %w)
      %s: f32[batch, 3, 2] = add(%b, %p)
      %y: f32[batch, 3, 2] = mul(%s, %gamma)
      output %y
    }
    """

  @Test("a product of rows, its bias and its LayerScale become one gemm")
  func layerScale() throws {
    let outcome = try run(.foldScalars, text)
    #expect(outcome.operators == ["gemm"])
    #expect(outcome.floats("w") == [0.5, 4, 1.5, 8])
    let bias = outcome.graph.order.first.flatMap { outcome.graph[$0].inputs[2] }
    #expect(bias.flatMap { outcome.graph[$0].constant?.floatValues() } == [2.5, 12])
  }

  @Test("a product with a weight that others transpose as well becomes a gemm of the weight as it is")
  func transposedWeight() throws {
    let outcome = try run(
      .foldScalars,
      """
      graph @net {
        input %x: f32[2, 3, 2]
        const %w: f32[2, 2] = [1, 2, 3, 4]
        %t: f32[2, 2] = transpose(%w) {perm = [1, 0]}
        %a: f32[2, 3, 2] = matmul(%x, %t)
        %y: f32[2, 3, 2] = matmul(%a, %t)
        output %y
      }
      """
    )
    #expect(outcome.body.contains("%a: f32[2, 3, 2] = gemm(%x, %w) {trans_b = 1}"))
    #expect(outcome.body.contains("%y: f32[2, 3, 2] = gemm(%a, %w) {trans_b = 1}"))
  }

  @Test("beside rows of i8, convolutions stay float and tables become f16")
  func embeddings() throws {
    var options = PassOptions(activations: .dynamic)
    options.activationGranularity = .perRow
    var graph = try parse(
      """
      graph @net {
        input %x: f32[1, 1, 2, 2]
        input %ids: i64[3]
        const %w: f32[2, 1, 1, 1] = [1, 2]
        const %table: f32[600, 2] = \([Float](repeating: 0.5, count: 1200))
        %c: f32[1, 2, 2, 2] = conv(%x, %w) {dilations = [1, 1], pads = [0, 0, 0, 0], strides = [1, 1]}
        %e: f32[3, 2] = gather(%table, %ids)
        output %c
        output %e
      }
      """
    )
    var context = PassContext(options: options)
    for pass in Pipelines.quantize(options).passes { _ = try pass.apply(to: &graph, &context) }
    let table = try #require(graph.value(named: "table"))
    let weight = try #require(graph.value(named: "w"))
    #expect(graph[table].type.dtype == .float16)
    #expect(graph[weight].type.dtype == .float16)
    #expect(!graph.order.contains { graph[$0].op.name == "dynamic_quantize" })
  }

  @Test("rows get a range each where the granularity says so")
  func rows() throws {
    var options = PassOptions(activations: .dynamic)
    options.activationGranularity = .perRow
    let outcome = try run(
      .insertDynamicQuant,
      run(.foldScalars, text).graph,
      context: PassContext(options: options),
      isIdempotent: false
    )
    #expect(outcome.body.contains("{per_row = 1}"))
    let scale = try #require(outcome.graph.value(named: "x.scale"))
    #expect(outcome.graph[scale].type == TensorType(.float32, [.symbol("batch"), 3, 1]))
  }
}

@Suite("QuantizeTables")
struct QuantizeTablesTests {
  /// A network that picks rows of a table of two columns; row r holds r + 1 and -(r + 1) / 2.
  private func graph(rows: Int, _ nodes: String) throws -> Graph {
    let text = """
      graph @net {
        input %i: i64[batch, 3]
        const %t: f32[\(rows), 2] = external
        \(nodes)
      }
      """
    var values: [Float] = []
    for row in 1...rows { values += [Float(row), -0.5 * Float(row)] }
    let table = try Tensor.floats(values, [rows, 2])
    return try GraphParser.parse(text) { _, _ in table }
  }

  private let picking = """
    %e: f32[batch, 3, 2] = gather(%t, %i)
      %y: f32[batch, 3, 2] = relu(%e)
      output %y
    """

  @Test("rows become i8 with a scale each, widened behind the gather under its name")
  func rows() throws {
    let outcome = try run(.quantizeTables, try graph(rows: 1024, picking))
    #expect(
      outcome.body == """
        %e.q: i8[batch, 3, 2] = gather(%t, %i)
        %e.scale: f32[batch, 3, 1] = gather(%t.scale, %i)
        %e: f32[batch, 3, 2] = dequantize_linear(%e.q, %e.scale)
        %y: f32[batch, 3, 2] = relu(%e)
        output %y
        """
    )
    #expect(outcome.floats("t")?.prefix(4) == [127, -64, 127, -64])
    #expect(outcome.floats("t.scale")?.prefix(2) == [Float(1) / 127, Float(2) / 127])
  }

  @Test("small tables stay as they are")
  func small() throws {
    #expect(try !run(.quantizeTables, try graph(rows: 1023, picking)).changed)
  }

  @Test("a table with other users stays, with a remark")
  func shared() throws {
    let nodes = """
      %e: f32[batch, 3, 2] = gather(%t, %i)
        %s: f32[1024, 2] = relu(%t)
        output %e
        output %s
      """
    let outcome = try run(.quantizeTables, try graph(rows: 1024, nodes))
    #expect(!outcome.changed)
    #expect(outcome.remarks.map(\.kind) == [.missed])
  }

  @Test("a table that columns are picked from stays")
  func columns() throws {
    let nodes = """
      %e: f32[1024, batch, 3] = gather(%t, %i) {axis = 1}
        output %e
      """
    #expect(try !run(.quantizeTables, try graph(rows: 1024, nodes)).changed)
  }
}

@Suite("RecognizeGuardedSoftmax")
struct RecognizeGuardedSoftmaxTests {
  private func text(zero: String = "0", shared: String = "") -> String {
    """
    graph @g {
      input %x: f32[2, 3]
      const %zero: f32[] = \(zero)
      %p: f32[2, 3] = softmax(%x)
      %e: bool[2, 3] = equal(%p, %p)
      %n: bool[2, 3] = not(%e)
      %y: f32[2, 3] = where(%n, %zero, %p)
      output %y
      \(shared)
    }
    """
  }

  @Test("What torch exports for attention becomes one operator")
  func applied() throws {
    #expect(
      try run(.recognizeGuardedSoftmax, text()).body
        == "%y: f32[2, 3] = softmax(%x) {guarded = 1}\noutput %y"
    )
  }

  @Test("Not applied where another number stands in, or the softmax is an output")
  func notApplied() throws {
    #expect(!(try run(.recognizeGuardedSoftmax, text(zero: "1"))).body.contains("guarded"))
    #expect(!(try run(.recognizeGuardedSoftmax, text(shared: "output %p"))).body.contains("guarded"))
  }
}
