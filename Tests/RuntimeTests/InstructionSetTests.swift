import GraphIR
import TestSupport
import Testing

@testable import Runtime

/// Layers that strain kernels, on every instruction set of the machine against the reference executor.
@Suite("Instruction sets") struct InstructionSetTests {
  private static let plain = Conv(strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1])

  /// A graph of one static layer whose input is quantized to bytes at one end of their range.
  private static func extremes(
    depth: Int,
    weights: Int8,
    input: Float,
    zeroPoint: UInt8
  ) throws -> GraphDraft {
    var draft = GraphDraft(seed: 1, .staticInteger)
    let x = draft.graph.addInput("x", TensorType(.float32, known: [3, depth]))
    let sign = try draft.constant("sign", .make(.float32, [1], [input]))
    let large = try draft.node(.binary(Binary(.mul)), [draft.node(.unary(Unary(.abs)), [x]), sign])
    let stub = try draft.parameters(0.01, zeroPoint)
    let q = try draft.node(.quantizeLinear(QuantizeLinear()), [large] + stub)
    let data = try draft.node(.dequantizeLinear(DequantizeLinear()), [q] + stub)
    let columns = 5
    let wq = try draft.constant(
      "wq",
      .make(.int8, [columns, depth], [Int8](repeating: weights, count: columns * depth))
    )
    let scales = try draft.constant(
      "ws",
      .make(.float32, [columns], [Float](repeating: 0.01, count: columns))
    )
    let w = try draft.node(.dequantizeLinear(DequantizeLinear(axis: 0)), [wq, scales])
    let bq = try draft.constant("bq", .make(.int32, [columns], [Int32]([0, 1, -1, 1000, -1000])))
    let bias = try draft.node(.dequantizeBias(DequantizeBias()), [bq, stub[0], scales])
    let y = try draft.node(.gemm(Gemm(transB: true)), [data, w, bias])
    draft.graph.addOutput(try draft.stubs(y, scale: 0.04 * Float(depth)))
    draft.graph.addOutput(y)
    return draft
  }

  @Test(
    "sums of extreme bytes are exact, up to the deepest layer that fits i32",
    arguments: [64, 577, 66_000]
  )
  func extremes(depth: Int) throws {
    for weights in [Int8(-127), 127] {
      for (input, zeroPoint) in [(Float(1e6), UInt8(0)), (-1e6, 255), (1e6, 255), (-1e6, 0), (1e6, 128)] {
        let draft = try InstructionSetTests.extremes(
          depth: depth,
          weights: weights,
          input: input,
          zeroPoint: zeroPoint
        )
        let label = "depth \(depth) weights \(weights) input \(input) zero point \(zeroPoint)"
        try PlanTests.compare(draft.graph, seed: 2, tolerance: 0, label)
      }
    }
  }

  @Test("deep and wide convolutions agree, whatever remains of blocks of depth and columns")
  func wide() throws {
    for (seed, (inputs, outputs)) in [(63, 33), (64, 64), (65, 17), (96, 40), (130, 31), (200, 70)]
      .enumerated()
    {
      var draft = GraphDraft(seed: UInt64(seed), .staticInteger)
      let x = draft.graph.addInput("x", TensorType(.float32, known: [1, inputs, 7, 9]))
      let a = try draft.conv(draft.stubs(x), outputs: outputs, kernel: [3, 3], InstructionSetTests.plain)
      var strided = InstructionSetTests.plain
      strided.strides = [2, 1]
      strided.dilations = [1, 2]
      draft.graph.addOutput(try draft.conv(a, outputs: inputs, kernel: [3, 3], strided))
      try PlanTests.compare(draft.graph, seed: 3, tolerance: 0, "\(inputs) to \(outputs)")
    }
  }

  @Test("every number of rows agrees", arguments: [false, true])
  func rows(isPerRow: Bool) throws {
    for rows in 1...40 {
      var draft = GraphDraft(seed: UInt64(rows), isPerRow ? .dynamicInteger : .staticInteger)
      draft.isPerRow = isPerRow
      let x = draft.graph.addInput("x", TensorType(.float32, known: [rows, 70]))
      draft.graph.addOutput(try draft.gemm(draft.stubs(x), outputs: 37))
      try PlanTests.compare(draft.graph, seed: 4, tolerance: 0, "\(rows) rows")
    }
  }
}
