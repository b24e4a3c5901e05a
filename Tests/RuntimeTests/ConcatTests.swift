import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import Kernels
@testable import Runtime

/// Concatenations whose operands are computed where they belong.
@Suite("Concatenations in place") struct ConcatTests {
  private static let plain = Conv(strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1])
  private static let schemes: [GraphDraft.Scheme] = [.float, .staticInteger, .dynamicInteger]

  /// Runs a network on all instruction sets with one to three threads: what an observed plan gives, which joins nothing.
  ///
  /// - Parameters:
  ///   - draft: With one input.
  ///   - placed: How many operations write into a concatenation.
  ///   - copies: How many concatenations copy operands.
  private func expect(_ draft: GraphDraft, placed: Int, copies: Int, _ label: String) throws {
    var random = SplitMix64(seed: 91)
    let x = try random.floats(draft.shape(draft.graph.inputs[0]), in: -3...3)
    let program = try Program(draft.graph, inputTypes: [:])
    for set in PlanTests.sets {
      for threads in 1...3 {
        let resources = try PlanResources(threads: threads, instructionSet: set)
        let apart = try PlanExecutor.make(program, resources, memoryLimit: .max, isObservable: true)
        let plan = try PlanExecutor.make(program, resources, memoryLimit: .max)
        let expected = try apart.run([x], observing: []) { (_, _) throws(Refusal) in }
        for _ in 0..<2 {
          let got = try plan.run([x], observing: []) { (_, _) throws(Refusal) in }
          for (tensor, other) in zip(got, expected) {
            #expect(PlanTests.matches(tensor, other, 0), "\(label) \(set) \(threads) threads")
          }
        }
        let kernels = try plan.profile([x], runs: 1).steps.flatMap(\.kernels)
        #expect(kernels.filter { $0.hasSuffix(" into concat") }.count == placed, "\(label): \(kernels)")
        #expect(kernels.filter { $0 == "concat" }.count == copies, "\(label): \(kernels)")
      }
    }
    try PlanTests.compare(draft.graph, seed: 92, tolerance: draft.scheme == .staticInteger ? 0 : 2e-3, label)
  }

  /// A network whose values all have the same scale, so that concatenations need no tables.
  private func draft(_ seed: Int, _ scheme: GraphDraft.Scheme) -> GraphDraft {
    var draft = GraphDraft(seed: UInt64(seed), scheme)
    draft.stubParameters = (0.05, 117)
    return draft
  }

  private func input(_ draft: inout GraphDraft, _ shape: [Int]) throws -> ValueID {
    try draft.stubs(draft.graph.addInput("x", TensorType(.float32, known: shape)))
  }

  private func conv(
    _ x: ValueID,
    outputs: Int,
    by op: Conv = ConcatTests.plain,
    _ draft: inout GraphDraft
  ) throws -> ValueID { try draft.conv(x, outputs: outputs, kernel: [3, 3], op) }

  private func concat(_ operands: [ValueID], axis: Int = 1, _ draft: inout GraphDraft) throws -> ValueID {
    try draft.stubs(draft.node(.concat(Concat(axis: axis)), operands))
  }

  @Test("convolutions write their channels", arguments: schemes, [1, 2, 5])
  func convolutions(scheme: GraphDraft.Scheme, batch: Int) throws {
    for (seed, channels) in [[1, 1], [16, 64, 3], [7, 33, 20], [65]].enumerated() {
      var draft = draft(seed, scheme)
      let x = try input(&draft, [batch, 6, 9, 7])
      var operands: [ValueID] = []
      for (index, outputs) in channels.enumerated() {
        var op = ConcatTests.plain
        if index == 1 { op.activation = .relu }
        if index == 2 { op.activation = .hardSwish }
        operands.append(try conv(x, outputs: outputs, by: op, &draft))
      }
      var depthwise = ConcatTests.plain
      depthwise.group = 6
      operands.append(try conv(x, outputs: 6, by: depthwise, &draft))
      let joined = try concat(operands, axis: batch == 2 ? -3 : 1, &draft)
      draft.graph.addOutput(try conv(joined, outputs: 8, &draft))
      try expect(draft, placed: channels.count + 1, copies: 0, "\(scheme) \(batch) \(channels)")
    }
  }

  @Test("tiles of float convolutions write their channels")
  func tiles() throws {
    var draft = draft(93, .float)
    let x = try input(&draft, [2, 19, 20, 17])
    let a = try conv(x, outputs: 40, &draft)
    let b = try conv(x, outputs: 33, &draft)
    draft.graph.addOutput(try concat([a, b], &draft))
    try expect(draft, placed: 2, copies: 0, "tiles")
  }

  @Test("operands that are needed elsewhere or that nothing can place are copied", arguments: schemes)
  func others(scheme: GraphDraft.Scheme) throws {
    var draft = draft(94, scheme)
    let x = try input(&draft, [2, 6, 9, 7])
    let alone = try conv(x, outputs: 5, &draft)
    let shared = try conv(x, outputs: 9, &draft)
    let window = MaxPool(kernel: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1])
    let pooled = try draft.stubs(draft.node(.maxPool(window), [x]))
    let twice = try conv(x, outputs: 4, &draft)
    let inner = try concat([alone, pooled, x, shared, twice, twice], &draft)
    let last = try conv(shared, outputs: 3, &draft)
    draft.graph.addOutput(try concat([inner, last], &draft))
    try expect(draft, placed: 2, copies: 2, "\(scheme)")
  }

  @Test("operands of other scales pass a table, the others none")
  func tables() throws {
    var draft = draft(95, .staticInteger)
    let x = try input(&draft, [1, 6, 5, 7])
    let a = try conv(x, outputs: 12, &draft)
    draft.stubParameters = nil
    let b = try conv(x, outputs: 20, &draft)
    draft.stubParameters = (0.05, 117)
    draft.graph.addOutput(try concat([b, a], &draft))
    try expect(draft, placed: 1, copies: 1, "tables")
  }

  @Test("concatenations along other axes copy their operands", arguments: schemes)
  func axes(scheme: GraphDraft.Scheme) throws {
    for axis in [0, 2, 3] {
      var draft = draft(96, scheme)
      let x = try input(&draft, [1, 6, 5, 7])
      let a = try conv(x, outputs: 12, &draft)
      let b = try conv(x, outputs: 12, &draft)
      draft.graph.addOutput(try concat([a, b], axis: axis, &draft))
      try expect(draft, placed: 0, copies: 1, "\(scheme) axis \(axis)")
    }
  }
}
