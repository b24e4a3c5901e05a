import BinaryIO
import GraphIR

extension OperatorTable {
  /// Recurrent networks: one matrix product of all steps' inputs, then the operator on the state.
  static let recurrent = [
    OperatorEntry("LSTM", 3...8, outputs: 0...3, importLSTM),
    OperatorEntry("GRU", 3...6, outputs: 0...2, importGRU),
  ]

  /// Operands: x, w, r, b, sequence lengths, initial state, initial cell, peepholes.
  private static func importLSTM(_ node: inout NodeImporter) throws(Refusal) {
    let shared = try node.recurrence(gates: LSTM.gateCount, activations: ["sigmoid", "tanh", "tanh"])
    let op = LSTM(shared.recurrence, isCoupled: try node.attributes.bool("input_forget") ?? false)
    let bias = try node.optional(3).map { (b) throws(Refusal) in
      let halves = try node.biases(of: b, [LSTM.gateCount, LSTM.gateCount], shared)
      return try node.flat(node.emit(.binary(Binary(.add)), halves, "bias"), "bias_row")
    }
    let peepholes = try node.optional(7).map { (p) throws(Refusal) in try node.flat(p, "peepholes") }
    try node.finish(
      .lstm(op),
      shared,
      [
        node.gates(shared, bias: bias), node.matrix(of: 2, shared, "r"), node.lengths(),
        node.state(5, shared, "initial_h"), node.state(6, shared, "initial_c"), peepholes,
      ]
    )
  }

  /// Operands: x, w, r, b, sequence lengths, initial state.
  private static func importGRU(_ node: inout NodeImporter) throws(Refusal) {
    let shared = try node.recurrence(gates: GRU.gateCount, activations: ["sigmoid", "tanh"])
    let op = GRU(
      shared.recurrence,
      resetsAfter: try node.attributes.bool("linear_before_reset") ?? false
    )
    var bias: Operand?
    var own: Operand?
    if let b = node.optional(3) {
      // The bias of the state's product for n is inside of the reset where that comes after the product.
      let parts = try node.biases(of: b, op.resetsAfter ? [3, 2, 1] : [3, 3], shared)
      var second = parts[1]
      if op.resetsAfter {
        own = try node.flat(parts[2], "bias_n")
        let zeros = try Tensor.floats(
          [Float](repeating: 0, count: shared.recurrence.directions * shared.hidden),
          [shared.recurrence.directions, shared.hidden]
        )
        second = try node.emit(.concat(Concat(axis: 1)), [second, node.make(zeros, "zeros")], "bias_r")
      }
      bias = try node.flat(node.emit(.binary(Binary(.add)), [parts[0], second], "bias"), "bias_row")
    }
    try node.finish(
      .gru(op),
      shared,
      [
        node.gates(shared, bias: bias), node.matrix(of: 2, shared, "r"), own, node.lengths(),
        node.state(5, shared, "initial_h"),
      ]
    )
  }
}

/// The attributes that the recurrent operators share.
struct RecurrentAttributes {
  var recurrence: Recurrence
  var hidden: Int
  var gateCount: Int
  /// Whether the batch is the first axis of data and states.
  var isBatchFirst: Bool
}

extension NodeImporter {
  /// - Parameter activations: The functions of one direction, in lower case: the only ones that are supported.
  mutating func recurrence(gates: Int, activations: [String]) throws(Refusal) -> RecurrentAttributes {
    let text = try attributes.string("direction") ?? "forward"
    guard let direction = Recurrence.Direction(rawValue: text) else {
      throw NodeAttributes.refusal(
        "direction",
        "is \(Refusal.quoted(text)), must be forward, reverse or bidirectional"
      )
    }
    let recurrence = Recurrence(direction: direction, clip: try attributes.float("clip") ?? .infinity)
    let given = try attributes.strings("activations")
    let wanted = (0..<recurrence.directions).flatMap { _ in activations }
    guard given == nil || given?.map({ $0.lowercased() }) == wanted else {
      throw NodeAttributes.unsupported(
        "activations",
        "is \((given ?? []).map { Refusal.printable($0) }.joined(separator: ", ")); "
          + "only \(activations.joined(separator: ", ")) are supported"
      )
    }
    // Parameters of other functions.
    attributes.ignore("activation_alpha", "activation_beta")
    let r = type(try input(2))
    guard r.rank == 3, let extent = r.dims[2].value, extent > 0 else {
      throw refusal("T-\(node.opType)", "its recurrent weight is \(r), must be [directions, gates, hidden]")
    }
    let hidden = try attributes.int("hidden_size") ?? extent
    guard hidden == extent else {
      throw NodeAttributes.refusal("hidden_size", "is \(hidden), but the recurrent weight is \(r)")
    }
    let isBatchFirst = operatorSet < 14 ? false : try attributes.bool("layout") ?? false
    return RecurrentAttributes(
      recurrence: recurrence,
      hidden: hidden,
      gateCount: gates,
      isBatchFirst: isBatchFirst
    )
  }

  /// The product of all steps' inputs with their weights, biases added: `[length, batch, directions · gates · hidden]`.
  func gates(_ shared: RecurrentAttributes, bias: Operand?) throws(Refusal) -> Operand {
    var x = try input(0)
    guard type(x).rank == 3 else {
      throw refusal("T-\(node.opType)", "its input is \(type(x)), must have 3 axes")
    }
    if shared.isBatchFirst { x = try emit(.transpose(Transpose(perm: [1, 0, 2])), [x], "time_first") }
    let w = try matrix(of: 1, shared, "w")
    return try emit(.gemm(Gemm(transB: true)), bias.map { [x, w, $0] } ?? [x, w], "gates")
  }

  /// A weight `[directions, gates · hidden, K]` as a matrix of all its rows.
  func matrix(of index: Int, _ shared: RecurrentAttributes, _ suffix: String) throws(Refusal) -> Operand {
    let w = try input(index)
    let rows: [Dim] = [
      .known(shared.recurrence.directions), .known(shared.gateCount * shared.hidden),
    ]
    guard type(w).rank == 3, zip(type(w).dims, rows).allSatisfy({ $0.value == nil || $0 == $1 }) else {
      throw refusal("T-\(node.opType)", "input \(index) is \(type(w)), must be [\(rows[0]), \(rows[1]), ...]")
    }
    let count = shared.recurrence.directions * shared.gateCount * shared.hidden
    return try emit(.reshape(Reshape(shape: [count, type(w).dims[2].value ?? -1])), [w], suffix)
  }

  /// The biases `[directions, gates · hidden]` that an operand holds next to each other, cut to these numbers of gates.
  func biases(of b: Operand, _ gates: [Int], _ shared: RecurrentAttributes) throws(Refusal) -> [Operand] {
    let count = gates.reduce(0, +) * shared.hidden
    let wanted: [Dim] = [.known(shared.recurrence.directions), .known(count)]
    guard type(b).rank == 2, zip(type(b).dims, wanted).allSatisfy({ $0.value == nil || $0 == $1 }) else {
      throw refusal("T-\(node.opType)", "its bias is \(type(b)), must be [\(wanted[0]), \(wanted[1])]")
    }
    var start = 0
    var parts: [Operand] = []
    for gate in gates {
      let end = start + gate * shared.hidden
      parts.append(
        try emit(.slice(Slice(starts: [start], ends: [end], axes: [1])), [b], "bias_\(parts.count)")
      )
      start = end
    }
    return parts
  }

  /// All elements in one row.
  func flat(_ operand: Operand, _ suffix: String) throws(Refusal) -> Operand {
    try emit(.reshape(Reshape(shape: [-1])), [operand], suffix)
  }

  /// The number of steps of every row, if given.
  func lengths() -> Operand? { optional(4) }

  /// An initial state as `[directions, batch, hidden]`.
  func state(_ index: Int, _ shared: RecurrentAttributes, _ suffix: String) throws(Refusal) -> Operand? {
    guard let state = optional(index) else { return nil }
    guard shared.isBatchFirst, type(state).rank == 3 else { return state }
    return try emit(.transpose(Transpose(perm: [1, 0, 2])), [state], suffix)
  }

  /// Appends a recurrent operator; results get the batch first where the node has it there.
  func finish(_ op: Op, _ shared: RecurrentAttributes, _ inputs: [Operand?]) throws(Refusal) {
    let count = op.payload.outputCount.upperBound
    guard shared.isBatchFirst else { return try finish(op, inputs, outputs: count) }
    let results = try emitAll(op, inputs, (0..<count).map { "time_first_\($0)" })
    for (index, result) in results.enumerated() where index < node.outputs.count {
      let perm = index == 0 ? [2, 0, 1, 3] : [1, 0, 2]
      try finish(.transpose(Transpose(perm: perm)), [result], output: index)
    }
  }
}
