import BinaryIO
import Glibc
import GraphIR
import Kernels
import TestSupport
import Testing

@testable import Runtime

/// Recurrent operators: formulas by hand, quantized states, and the plan against the reference executor.
@Suite("Recurrent operators") struct RecurrentTests {
  private func sigmoid(_ x: Double) -> Double { 1 / (1 + Glibc.exp(-x)) }

  private func expectClose(_ tensor: Tensor, _ expected: [Double], _ tolerance: Double = 1e-6) {
    let values = tensor.elements(as: Float.self)
    #expect(values.count == expected.count)
    for (value, wanted) in zip(values, expected) { #expect(abs(Double(value) - wanted) < tolerance) }
  }

  @Test("two steps of an LSTM of one unit, written out, with peepholes")
  func lstm() throws {
    // Gates in the order i, o, f, c; the second step sees the state and the cell of the first.
    let gates = try Tensor.floats([0.5, -0.25, 1, 2, -1, 0.75, 0.5, -0.5], [2, 1, 4])
    let r = try Tensor.floats([0.5, -1, 2, 0.25], [4, 1])
    let p = try Tensor.floats([0.1, -0.2, 0.3], [3])
    let results = try Reference.evaluate(op: .lstm(LSTM()), inputs: [gates, r, nil, nil, nil, p])
    let c1 = sigmoid(0.5) * tanh(2.0)
    let h1 = sigmoid(-0.25 - 0.2 * c1) * tanh(c1)
    let i2 = sigmoid(-1 + 0.5 * h1 + 0.1 * c1)
    let f2 = sigmoid(0.5 + 2 * h1 + 0.3 * c1)
    let c2 = f2 * c1 + i2 * tanh(-0.5 + 0.25 * h1)
    let h2 = sigmoid(0.75 - h1 - 0.2 * c2) * tanh(c2)
    expectClose(results[0], [h1, h2])
    expectClose(results[1], [h2])
    expectClose(results[2], [c2])
  }

  @Test("a coupled LSTM keeps what it does not take in; clip bounds the gates' operands only")
  func coupled() throws {
    let gates = try Tensor.floats([3, 9, 5, -4], [1, 1, 4])
    let r = try Tensor.floats([0, 0, 0, 0], [4, 1])
    let cell = try Tensor.floats([2], [1, 1, 1])
    let op = LSTM(Recurrence(clip: 1.5), isCoupled: true)
    let results = try Reference.evaluate(op: .lstm(op), inputs: [gates, r, nil, nil, cell])
    let c = (1 - sigmoid(1.5)) * 2 + sigmoid(1.5) * tanh(-1.5)
    expectClose(results[2], [c])
    expectClose(results[1], [sigmoid(1.5) * tanh(c)])
  }

  @Test("one step of a GRU, with the reset before and after the product")
  func gru() throws {
    let gates = try Tensor.floats([0.5, -0.5, 1], [1, 1, 3])
    let r = try Tensor.floats([0.25, 2, -1.5], [3, 1])
    let state = try Tensor.floats([0.8], [1, 1, 1])
    let z = sigmoid(0.5 + 0.25 * 0.8)
    let reset = sigmoid(-0.5 + 2 * 0.8)
    let before = try Reference.evaluate(op: .gru(GRU()), inputs: [gates, r, nil, nil, state])
    expectClose(before[1], [(1 - z) * tanh(1 - 1.5 * reset * 0.8) + z * 0.8])
    let bias = try Tensor.floats([0.3], [1])
    let op = GRU(resetsAfter: true)
    let after = try Reference.evaluate(op: .gru(op), inputs: [gates, r, bias, nil, state])
    expectClose(after[1], [(1 - z) * tanh(1 + reset * (-1.5 * 0.8 + 0.3)) + z * 0.8])
  }

  @Test(
    "a reversed direction starts at a row's own end; states behind it are 0, the last one is where it ended"
  )
  func lengths() throws {
    // One unit that copies: i, o, f wide open, no recurrence, so the cell adds up tanh of the inputs.
    var gates: [Float] = []
    for x in [0.1, 0.2, 0.3] as [Float] {
      for row in 0..<3 { gates += [100, 100, 100, Float(row + 1) * x] }
    }
    let operands: [Tensor?] = [
      try .floats(gates, [3, 3, 4]), try .floats([0, 0, 0, 0], [4, 1]),
      try .make(.int32, [3], [3, 1, 0] as [Int32]),
      try .floats([0.5, 0.5, 0.5], [1, 3, 1]), try .floats([1, 1, 1], [1, 3, 1]),
    ]
    let op = LSTM(Recurrence(direction: .reverse))
    let results = try Reference.evaluate(op: .lstm(op), inputs: operands)
    let cells = [1 + tanh(0.3), 1 + tanh(0.3) + tanh(0.2), 1 + tanh(0.3) + tanh(0.2) + tanh(0.1)]
    let other = 1 + tanh(0.2)
    expectClose(
      results[0],
      [tanh(cells[2]), tanh(other), 0, tanh(cells[1]), 0, 0, tanh(cells[0]), 0, 0]
    )
    expectClose(results[1], [tanh(cells[2]), tanh(other), 0.5])
    expectClose(results[2], [cells[2], other, 1])
    for wrong in [-1, 4] as [Int32] {
      var operands = operands
      operands[2] = try .make(.int32, [3], [3, wrong, 1])
      expectRefusal(rule: "V3", containing: "row 1 has a length of \(wrong), must be 0 to 3") {
        _ = try Reference.evaluate(op: .lstm(op), inputs: operands)
      }
    }
  }

  @Test("the functions of a cell are within their bounds, and NaN passes")
  func functions() {
    for step in -4000...4000 {
      let x = Float(step) / 40
      #expect(abs(Double(SingleMath.tanh(x)) - Glibc.tanh(Double(x))) < 3e-7)
      let exact = sigmoid(Double(x))
      #expect(abs(Double(SingleMath.sigmoid(x)) - exact) <= max(4 * exact * 0x1p-23, 1e-36))
    }
    for x in [Float.infinity, -.infinity] {
      #expect(SingleMath.tanh(x) == (x > 0 ? 1 : -1))
      #expect(SingleMath.sigmoid(x) == (x > 0 ? 1 : 0))
    }
    #expect(SingleMath.tanh(.nan).isNaN && SingleMath.sigmoid(.nan).isNaN)
  }

  @Test("the kernel's functions of a cell give the reference's bits")
  func sameFunctions() throws {
    // With closed gates the cell keeps or takes in one number: what comes out is a function of it.
    var random = SplitMix64(seed: 71)
    var values = (0..<4000).map { _ in random.float(-12...12) }
    values += [0, -0.0, 0.25, -0.25, 88.8, -104, .leastNormalMagnitude, .infinity, -.infinity]
    let gates = values.flatMap { [$0, $0, $0, $0] }
    var draft = GraphDraft(seed: 72)
    let x = draft.constant("x", try .floats(Array(gates.prefix(4 * 4008)), [1, 2004, 8]))
    let r = draft.constant("r", try random.ints(.int8, [8, 2], in: 0...0))
    let scale = draft.constant("s", try .floats([1], []))
    let state = draft.graph.addInput("h", TensorType(.float32, known: [1, 2004, 2]))
    let w = try draft.node(.dequantizeLinear(DequantizeLinear()), [r, scale])
    let recurrence = Recurrence(isDynamic: true)
    try add(.lstm(LSTM(recurrence)), [x, w, nil, state, state], to: &draft)
    try PlanTests.compare(draft.graph, seed: 73, tolerance: 0, "functions")
  }

  private func add(_ op: Op, _ inputs: [ValueID?], to draft: inout GraphDraft) throws {
    let count = op.payload.outputCount.upperBound
    let names = (0..<count).map { draft.graph.uniqueName("y\($0)") }
    let id = try draft.graph.addNode(op, inputs: inputs, outputNames: names)
    for output in draft.graph[id].outputs { draft.graph.addOutput(output) }
  }

  /// A recurrence with random extents and attributes behind a matrix product of its input.
  private func network(_ seed: UInt64, _ scheme: GraphDraft.Scheme) throws -> (GraphDraft, String) {
    var draft = GraphDraft(seed: seed, scheme)
    let isLSTM = draft.random.bool()
    let direction = draft.random.pick(Recurrence.Direction.allCases)
    let directions = direction == .bidirectional ? 2 : 1
    let (length, batch) = (draft.random.int(1...6), draft.random.pick([1, 2, 3, 5, 40]))
    let hidden = draft.random.pick([2, 3, 15, 16, 17, 33, 64, 70])
    let clip = draft.random.bool() ? Float.infinity : 0.75
    let isDynamic = scheme == .dynamicInteger
    let recurrence = Recurrence(direction: direction, clip: clip, isDynamic: isDynamic)
    let rows = directions * (isLSTM ? LSTM.gateCount : GRU.gateCount) * hidden
    let x = draft.graph.addInput("x", TensorType(.float32, known: [length, batch, 9]))
    let gates = try draft.gemm(x, outputs: rows)
    let r = try matrix(rows, hidden, &draft)
    let state = TensorType(.float32, known: [directions, batch, hidden])
    func states(_ name: String) throws -> ValueID? {
      draft.random.bool() ? draft.graph.addInput(name, state) : nil
    }
    var lengths: ValueID?
    if draft.random.bool() {
      let values = (0..<batch).map { _ in Int32(draft.random.int(0...length)) }
      lengths = draft.constant("lengths", try .make(.int32, [batch], values))
    }
    if isLSTM {
      let p =
        draft.random.bool() ? draft.constant("p", try draft.random.floats([directions * 3 * hidden])) : nil
      let op = LSTM(recurrence, isCoupled: draft.random.bool())
      try add(.lstm(op), [gates, r, lengths, states("h"), states("c"), p], to: &draft)
    } else {
      let op = GRU(recurrence, resetsAfter: draft.random.bool())
      let hasBias = op.resetsAfter && draft.random.bool()
      let b = hasBias ? draft.constant("bias", try draft.random.floats([directions * hidden])) : nil
      try add(.gru(op), [gates, r, b, lengths, states("h")], to: &draft)
    }
    return (draft, "seed \(seed): \(isLSTM ? "lstm" : "gru") \(direction) \(length)x\(batch)x\(hidden)")
  }

  private func matrix(_ rows: Int, _ hidden: Int, _ draft: inout GraphDraft) throws -> ValueID {
    let limit = 2 / Float(hidden).squareRoot()
    switch draft.scheme {
    case .float, .staticInteger:
      return draft.constant("r", try draft.random.floats([rows, hidden], in: -limit...limit))
    case .half:
      let halves = (0..<rows * hidden).map { _ in Float16(draft.random.float() * limit) }
      return try draft.node(
        .cast(Cast(to: .float32)),
        [draft.constant("r", try .make(.float16, [rows, hidden], halves))]
      )
    case .dynamicInteger:
      let q = draft.constant("rq", try draft.random.ints(.int8, [rows, hidden], in: -127...127))
      let scales = draft.constant("rs", try draft.random.floats([rows], in: limit / 200...limit / 127))
      return try draft.node(.dequantizeLinear(DequantizeLinear(axis: 0)), [q, scales])
    }
  }

  @Test(
    "float and half-precision matrices: the plan agrees with the reference",
    arguments: 1...24 as ClosedRange<UInt64>
  )
  func floats(seed: UInt64) throws {
    let (draft, label) = try network(seed, seed % 4 == 0 ? .half : .float)
    try PlanTests.compare(draft.graph, seed: seed, tolerance: 1e-5, label)
  }

  @Test(
    "i8 matrices and quantized states: the plan gives the reference's bytes",
    arguments: 101...132 as ClosedRange<UInt64>
  )
  func integers(seed: UInt64) throws {
    let (draft, label) = try network(seed, .dynamicInteger)
    let program = try Program(draft.graph, inputTypes: [:])
    #expect(
      program.steps.contains { if case .dynamicRecurrence = $0.kind { true } else { false } },
      "\(label)"
    )
    try PlanTests.compare(draft.graph, seed: seed, tolerance: 0, label)
  }

  @Test("a quantized state is what dynamic_quantize and dequantize_linear by rows give")
  func quantizedState() throws {
    var random = SplitMix64(seed: 81)
    let (batch, hidden) = (3, 5)
    let gates = try random.floats([1, batch, 4 * hidden])
    let q = try random.ints(.int8, [4 * hidden, hidden], in: -127...127)
    let scales = try random.floats([4 * hidden], in: 0.001...0.01)
    let state = try random.floats([1, batch, hidden])
    let op = LSTM(Recurrence(isDynamic: true))
    let kind = DynamicRecurrence(cell: .lstm(op), weights: q, weightScales: scales.elements(as: Float.self))
    let got = try kind.run([gates, nil, state])
    let dynamic = try Reference.evaluate(op: .dynamicQuantize(DynamicQuantize(perRow: true)), inputs: [state])
    let gemm = DynamicGemm(
      weights: q,
      isTransposed: true,
      isPerRow: true,
      tail: DynamicTail(weightScales: scales.elements(as: Float.self), bias: nil, activation: .none)
    )
    let product = try gemm.run(dynamic[0], scales: dynamic[1], zeroPoints: dynamic[2])
    let sums = try Reference.evaluate(op: .binary(Binary(.add)), inputs: [product, gates])[0]
    let zeros = try Tensor.floats(Array(repeating: 0, count: 4 * hidden * hidden), [4 * hidden, hidden])
    let expected = try Reference.evaluate(op: .lstm(LSTM()), inputs: [sums, zeros])
    for (tensor, wanted) in zip(got, expected) { #expect(bytes(tensor) == bytes(wanted)) }
  }

  @Test("no steps: the last state is the first one")
  func empty() throws {
    var draft = GraphDraft(seed: 91)
    let gates = draft.graph.addInput("gates", TensorType(.float32, known: [0, 2, 12]))
    let r = draft.constant("r", try draft.random.floats([12, 3]))
    let state = draft.graph.addInput("h", TensorType(.float32, known: [1, 2, 3]))
    try add(.lstm(LSTM()), [gates, r, nil, state], to: &draft)
    try PlanTests.compare(draft.graph, seed: 92, tolerance: 0, "no steps")
  }
}

extension SplitMix64 {
  fileprivate mutating func pick<Value>(_ values: [Value]) -> Value { values[int(0...values.count - 1)] }
}
