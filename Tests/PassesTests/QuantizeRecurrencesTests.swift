import BinaryIO
import GraphIR
import Quantization
import Testing

@testable import Passes

@Suite("QuantizeRecurrences")
struct QuantizeRecurrencesTests {
  private func context(_ activations: ActivationMode = .dynamic) -> PassContext {
    var options = PassOptions(scheme: .int8)
    options.activations = activations
    return PassContext(options: options)
  }

  private func graph(_ nodes: String, rows: String = "4, 1") -> String {
    """
    graph @net {
      input %gates: f32[t, b, 4]
      const %r: f32[\(rows)] = [0.5, -127, 254, 1]
    \(nodes.split(separator: "\n").map { "  " + $0 }.joined(separator: "\n"))
    }
    """
  }

  private let lstm = """
    %y: f32[t, 1, b, 1], %h: f32[1, b, 1], %c: f32[1, b, 1] = lstm(%gates, %r)
    output %y
    """

  @Test("the matrix becomes i8 by rows, the state dynamic")
  func dynamic() throws {
    let outcome = try run(.quantizeRecurrences, graph(lstm), context: context())
    #expect(
      outcome.text == """
        graph @net {
          input %gates: f32[t, b, 4]
          const %r: i8[4, 1] = [127, -127, 127, 127]
          const %r.scale: f32[4] = [0.003937008, 1, 2, 0.007874016]
          %r.dq: f32[4, 1] = dequantize_linear(%r, %r.scale) {axis = 0}
          %y: f32[t, 1, b, 1], %h: f32[1, b, 1], %c: f32[1, b, 1] = lstm(%gates, %r.dq) {dynamic = 1}
          output %y
        }

        """
    )
    #expect(outcome.remarks.isEmpty)
  }

  @Test("beside calibrated ranges the state stays dynamic, with a remark; with weights only it stays float")
  func others() throws {
    let fixed = try run(.quantizeRecurrences, graph(lstm), context: context(.static))
    #expect(fixed.body.contains("lstm(%gates, %r.dq) {dynamic = 1}"))
    #expect(fixed.remarks.map(\.text) == ["its state is quantized by its own range in every step"])
    let weights = try run(.quantizeRecurrences, graph(lstm), context: context(.none))
    #expect(weights.body.contains("lstm(%gates, %r.dq)\n"))
  }

  @Test("a node that is kept with an i8 weight has a float state")
  func keptBytes() throws {
    var kept = context()
    let parsed = try parse(graph(lstm))
    kept.kept[parsed.order[0]] = .int8
    let outcome = try run(.quantizeRecurrences, parsed, context: kept)
    #expect(outcome.body.contains("lstm(%gates, %r.dq)\n"))
  }

  @Test("a matrix of two operators is stored once")
  func shared() throws {
    let nodes = """
      %y: f32[t, 1, b, 1], %h: f32[1, b, 1], %c: f32[1, b, 1] = lstm(%gates, %r)
      %z: f32[t, 1, b, 1], %i: f32[1, b, 1], %d: f32[1, b, 1] = lstm(%gates, %r) {direction = "reverse"}
      output %y
      output %z
      """
    let outcome = try run(.quantizeRecurrences, graph(nodes), context: context())
    #expect(outcome.operators == ["dequantize_linear", "lstm", "lstm"])
    #expect(outcome.body.contains("{direction = \"reverse\", dynamic = 1}"))
  }

  @Test("not a kept node, nor a matrix that is computed or something else")
  func missed() throws {
    var kept = context()
    let parsed = try parse(graph(lstm))
    kept.kept[parsed.order[0]] = .float32
    let first = try run(.quantizeRecurrences, parsed, context: kept)
    #expect(!first.changed && first.remarks.map(\.text) == ["it is kept in float"])
    let second = try run(
      .quantizeRecurrences,
      graph(lstm + "\n%q: f32[4, 1] = relu(%r)\noutput %q"),
      context: context()
    )
    #expect(
      !second.changed && second.remarks.map(\.text) == ["the weight of its state is also something else"]
    )
    let computed = "%s: f32[4, 1] = relu(%r)\n" + lstm.replacing("%r)", with: "%s)")
    let third = try run(.quantizeRecurrences, graph(computed), context: context())
    #expect(!third.changed && third.remarks.map(\.text) == ["the weight of its state is not a constant"])
  }

  @Test("a matrix with NaN is refused")
  func refused() {
    #expect(throws: Refusal.self) {
      try run(.quantizeRecurrences, graph(lstm).replacing("254", with: "nan"), context: context())
    }
  }

  @Test("blocks and halves take the matrix, too")
  func otherSchemes() throws {
    var options = PassOptions(scheme: .weightOnly)
    options.bits = 4
    let blocks = try run(.quantizeBlocks, graph(lstm), context: PassContext(options: options))
    #expect(
      blocks.body.contains(
        "%r.f32: f32[4, 1] = dequantize_blocks(%r, %r.scale) {bits = 4, block = 32, depth = 1}"
      )
    )
    #expect(blocks.body.contains("lstm(%gates, %r.f32)\n"))
  }

  @Test("slices and joints of weights are folded beyond the size of other results, within the constants' own")
  func slices() throws {
    let rows = 70_000
    var graph = Graph(name: "net")
    let x = graph.addInput("x", TensorType(.float32, known: [1, 1]))
    let weight = graph.addConstant("w", try .floats(Array(repeating: 1, count: rows), [rows, 1]))
    func slice(_ from: Int, _ to: Int, _ name: String) throws -> ValueID {
      let op = Op.slice(Slice(starts: [from], ends: [to], axes: [0]))
      let id = try graph.addNode(op, inputs: [weight], outputNames: [name])
      return graph.result(of: id)
    }
    let parts = [try slice(1000, rows, "a"), try slice(0, 1000, "b")]
    let concat = try graph.addNode(.concat(Concat(axis: 0)), inputs: parts, outputNames: ["r"])
    let product = Op.gemm(Gemm(transB: true))
    let gemm = try graph.addNode(product, inputs: [x, graph.result(of: concat)], outputNames: ["y"])
    graph.addOutput(graph.result(of: gemm))
    let context = PassContext { (op, operands) throws(Refusal) in
      guard case .slice(let slice) = op, let values = operands[0]?.floatValues() else {
        return [try Tensor.floats(Array(repeating: 1, count: rows), [rows, 1])]
      }
      let range = slice.starts![0]..<slice.ends![0]
      return [try Tensor.floats(Array(values[range]), [range.count, 1])]
    }
    // One run has the budget for the slices, the next one for the joint.
    var outcome = try run(.foldConstants, graph, context: context, isIdempotent: false)
    #expect(outcome.operators == ["concat", "gemm"])
    outcome = try run(.foldConstants, outcome.graph, context: context)
    #expect(outcome.operators == ["gemm"])
  }
}
