import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import Kernels
@testable import Runtime

/// Sums that the convolution before them computes: the bytes of the reference executor.
@Suite("Residual sums") struct ResidualSumTests {
  private static let plain = Conv(strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1])

  /// Runs a network on all instruction sets with one to three threads against the reference executor.
  ///
  /// - Parameters:
  ///   - draft: With one input.
  ///   - sums: How many sums convolutions take in.
  ///   - adds: How many are steps of their own.
  private func expect(_ draft: GraphDraft, sums: Int, adds: Int, _ label: String) throws {
    var random = SplitMix64(seed: 71)
    let shape = draft.shape(draft.graph.inputs[0])
    let x = try random.floats(shape, in: -3...3)
    let program = try Program(draft.graph, inputTypes: [:])
    let expected = try ReferenceExecutor(program).run([x], observing: []) { (_, _) throws(Refusal) in }
    for set in PlanTests.sets {
      for threads in 1...3 {
        let resources = try PlanResources(threads: threads, instructionSet: set)
        let plan = try PlanExecutor.make(program, resources, memoryLimit: .max)
        // Twice, as a sum may take the place of what is added.
        for _ in 0..<2 {
          let got = try plan.run([x], observing: []) { (_, _) throws(Refusal) in }
          for (tensor, reference) in zip(got, expected) {
            #expect(PlanTests.matches(tensor, reference, 0), "\(label) \(set) \(threads) threads")
          }
        }
        let kernels = try plan.profile([x], runs: 1).steps.flatMap(\.kernels)
        #expect(kernels.filter { $0.hasSuffix(" + add") }.count == sums, "\(label): \(kernels)")
        #expect(kernels.filter { $0 == "u8 integer add" }.count == adds, "\(label): \(kernels)")
      }
    }
  }

  private func input(_ draft: inout GraphDraft, _ shape: [Int]) throws -> ValueID {
    try draft.stubs(draft.graph.addInput("x", TensorType(.float32, known: shape)))
  }

  private func add(_ a: ValueID, _ b: ValueID, _ kind: Binary.Kind = .add, to draft: inout GraphDraft) throws
    -> ValueID
  { try draft.node(.binary(Binary(kind)), [a, b]) }

  @Test("a convolution takes in its sum in either order of operands, whatever follows", arguments: 1...5)
  func orders(batch: Int) throws {
    let activations: [Op?] = [nil, .unary(Unary(.relu)), .clip(Clip(min: 0, max: 6))]
    for (index, channels) in [1, 7, 16, 33, 65, 80].enumerated() {
      for kind in [Binary.Kind.add, .sub] {
        var draft = GraphDraft(seed: UInt64(batch * 10 + index), .staticInteger)
        let x = try input(&draft, [batch, channels, 5, 6])
        let a = try draft.conv(x, outputs: channels, kernel: [3, 3], ResidualSumTests.plain)
        var y = try add(a, x, kind, to: &draft)
        if let op = activations[(batch + index) % 3] { y = try draft.node(op, [y]) }
        y = try draft.stubs(y)
        let b = try draft.conv(y, outputs: channels, kernel: [3, 3], ResidualSumTests.plain)
        draft.graph.addOutput(try draft.stubs(add(y, b, kind, to: &draft)))
        try expect(draft, sums: 2, adds: 0, "batch \(batch) channels \(channels) \(kind)")
      }
    }
  }

  @Test("depthwise and grouped convolutions take in their sums")
  func groups() throws {
    for group in [2, 34] {
      var draft = GraphDraft(seed: UInt64(group), .staticInteger)
      let x = try input(&draft, [2, 34, 6, 7])
      var op = ResidualSumTests.plain
      op.group = group
      let a = try draft.conv(x, outputs: 34, kernel: [3, 3], op)
      draft.graph.addOutput(try draft.stubs(add(x, a, to: &draft)))
      try expect(draft, sums: 1, adds: 0, "\(group) groups")
    }
  }

  @Test("the later of two convolutions takes in the sum of both")
  func bothOperands() throws {
    for isSwapped in [false, true] {
      var draft = GraphDraft(seed: 72, .staticInteger)
      let x = try input(&draft, [1, 24, 6, 6])
      let a = try draft.conv(
        x,
        outputs: 40,
        kernel: [1, 1],
        Conv(strides: [2, 2], pads: [0, 0, 0, 0], dilations: [1, 1])
      )
      let b = try draft.conv(
        x,
        outputs: 40,
        kernel: [3, 3],
        Conv(strides: [2, 2], pads: [1, 1, 1, 1], dilations: [1, 1])
      )
      let sum = try draft.stubs(isSwapped ? add(b, a, to: &draft) : add(a, b, to: &draft))
      draft.graph.addOutput(
        try draft.conv(
          sum,
          outputs: 5,
          kernel: [1, 1],
          Conv(strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1])
        )
      )
      try expect(draft, sums: 1, adds: 0, isSwapped ? "swapped" : "in order")
    }
  }

  @Test("an operand that something else reads later keeps its bytes")
  func keptOperand() throws {
    var draft = GraphDraft(seed: 73, .staticInteger)
    let x = try input(&draft, [1, 20, 6, 6])
    let a = try draft.conv(x, outputs: 20, kernel: [3, 3], ResidualSumTests.plain)
    let b = try draft.conv(a, outputs: 20, kernel: [3, 3], ResidualSumTests.plain)
    let sum = try draft.stubs(add(b, a, to: &draft))
    let again = try draft.conv(sum, outputs: 20, kernel: [3, 3], ResidualSumTests.plain)
    draft.graph.addOutput(try draft.stubs(add(a, again, to: &draft)))
    try expect(draft, sums: 2, adds: 0, "kept operand")
  }

  @Test("a convolution whose result is needed otherwise takes in no sum")
  func sharedResult() throws {
    var twice = GraphDraft(seed: 74, .staticInteger)
    let x = try input(&twice, [1, 9, 6, 6])
    let a = try twice.conv(x, outputs: 9, kernel: [3, 3], ResidualSumTests.plain)
    let sum = try twice.stubs(add(a, x, to: &twice))
    let pooled = try twice.stubs(twice.node(.globalPool(GlobalPool(.average)), [a]))
    twice.graph.addOutput(try twice.stubs(add(sum, pooled, to: &twice)))
    try expect(twice, sums: 0, adds: 2, "used twice")

    var itself = GraphDraft(seed: 75, .staticInteger)
    let y = try input(&itself, [1, 9, 6, 6])
    let b = try itself.conv(y, outputs: 9, kernel: [3, 3], ResidualSumTests.plain)
    itself.graph.addOutput(try itself.stubs(add(b, b, to: &itself)))
    try expect(itself, sums: 0, adds: 1, "added to itself")

    var shown = GraphDraft(seed: 76, .staticInteger)
    let z = try input(&shown, [1, 9, 6, 6])
    let c = try shown.conv(z, outputs: 9, kernel: [3, 3], ResidualSumTests.plain)
    shown.graph.addOutput(try shown.stubs(add(c, z, to: &shown)))
    shown.graph.addOutput(c)
    try expect(shown, sums: 0, adds: 1, "an output of the network")
  }

  @Test("a convolution takes in no sum that broadcasts, nor one with a later value")
  func otherSums() throws {
    var broadcast = GraphDraft(seed: 77, .staticInteger)
    let x = try input(&broadcast, [2, 9, 6, 6])
    let means = try broadcast.stubs(broadcast.node(.globalPool(GlobalPool(.average)), [x]))
    let a = try broadcast.conv(x, outputs: 9, kernel: [3, 3], ResidualSumTests.plain)
    broadcast.graph.addOutput(try broadcast.stubs(add(a, means, to: &broadcast)))
    try expect(broadcast, sums: 0, adds: 1, "broadcast")

    var later = GraphDraft(seed: 78, .staticInteger)
    let y = try input(&later, [1, 9, 6, 6])
    let b = try later.conv(y, outputs: 9, kernel: [3, 3], ResidualSumTests.plain)
    let window = MaxPool(kernel: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1])
    let pooled = try later.stubs(later.node(.maxPool(window), [y]))
    later.graph.addOutput(try later.stubs(add(b, pooled, to: &later)))
    try expect(later, sums: 0, adds: 1, "a later operand")
  }

  @Test("an observed plan shows what goes into a sum")
  func observed() throws {
    var draft = GraphDraft(seed: 79, .staticInteger)
    let x = try input(&draft, [1, 9, 6, 6])
    let a = try draft.conv(x, outputs: 9, kernel: [3, 3], ResidualSumTests.plain)
    draft.graph.addOutput(try draft.stubs(add(a, x, to: &draft)))
    try PlanTests.compare(draft.graph, seed: 80, tolerance: 0, "observed")
  }
}
