import BinaryIO
import GraphIR

/// Recurrent operators, which ONNX gives the product of the input with its weights as well.
extension NodeExporter {
  /// The operands of ONNX's operator that stand for `gates`.
  private struct InputProduct {
    var x: String
    /// A matrix per direction, `[directions, gates · hidden, K]`.
    var w: String
    /// A row per direction, `[directions, gates · hidden]`: the sum of both biases; nil: zeros.
    var bias: String?
  }

  func export(_ op: LSTM) throws(Refusal) {
    let hidden = try self.hidden(op.recurrence)
    let product = try inputProduct(op.recurrence, LSTM.gateCount * hidden)
    var bias = ""
    if let own = product.bias {
      bias = emit(
        "Concat",
        [own, try zeros(op.recurrence, LSTM.gateCount * hidden)],
        "b",
        Attributes(("axis", .int(1)))
      )
    }
    let peepholes = has(5) ? try directed(input(5), op.recurrence, [3 * hidden], "p") : ""
    var attributes = self.attributes(op.recurrence, hidden)
    attributes.set("input_forget", op.isCoupled, unless: false)
    let r = try directed(input(1), op.recurrence, [LSTM.gateCount * hidden, hidden], "r")
    try finish("LSTM", [product.x, product.w, r, bias, input(2), input(3), input(4), peepholes], attributes)
  }

  func export(_ op: GRU) throws(Refusal) {
    let hidden = try self.hidden(op.recurrence)
    let product = try inputProduct(op.recurrence, GRU.gateCount * hidden)
    var bias = ""
    if product.bias != nil || has(2) {
      var first = product.bias ?? ""
      if first.isEmpty { first = try zeros(op.recurrence, GRU.gateCount * hidden) }
      let own = try has(2) ? directed(input(2), op.recurrence, [hidden], "b_n") : zeros(op.recurrence, hidden)
      let parts = [first, try zeros(op.recurrence, 2 * hidden), own]
      bias = emit("Concat", parts, "b", Attributes(("axis", .int(1))))
    }
    var attributes = self.attributes(op.recurrence, hidden)
    attributes.set("linear_before_reset", op.resetsAfter, unless: false)
    let r = try directed(input(1), op.recurrence, [GRU.gateCount * hidden, hidden], "r")
    try finish("GRU", [product.x, product.w, r, bias, input(3), input(4)], attributes)
  }

  private func attributes(_ recurrence: Recurrence, _ hidden: Int) -> Attributes {
    var attributes = Attributes(
      ("hidden_size", .int(hidden)),
      ("direction", .string(recurrence.direction.rawValue))
    )
    attributes.set("clip", recurrence.clip, unless: .infinity)
    return attributes
  }

  private func hidden(_ recurrence: Recurrence) throws(Refusal) -> Int {
    guard !recurrence.isDynamic else {
      throw unsupported(
        "quantizes its state in every step",
        remedy: "convert with --fp16, or write a .qmodel"
      )
    }
    guard let hidden = type(1).dims[1].value else {
      throw unsupported("has a recurrent weight of unknown extent", remedy: "write a .qmodel")
    }
    return hidden
  }

  private func unsupported(_ problem: String, remedy: String) -> Refusal {
    Refusal(.unsupported, at: "", rule: "X1", "\(problem), which ONNX has no operator for", remedy: remedy)
  }

  /// The matrix product that makes `gates`, or the gates themselves as inputs whose weights are ones.
  ///
  /// - Parameter rows: Gates times hidden units of a direction.
  private func inputProduct(_ recurrence: Recurrence, _ rows: Int) throws(Refusal) -> InputProduct {
    if let producer = value(0).producer, case .gemm(let op) = graph[producer].op,
      op == Gemm(transB: true), let x = graph[producer].inputs[0], let w = graph[producer].inputs[1],
      graph[x].type.rank == 3, let depth = graph[w].type.dims[1].value
    {
      let bias = graph[producer].inputs.dropFirst(2).first ?? nil
      if bias.map({ graph[$0].type.dims == [.known(recurrence.directions * rows)] }) ?? true {
        var product = InputProduct(
          x: exporter.use(x),
          w: try directed(exporter.use(w), recurrence, [rows, depth], "w")
        )
        if let bias { product.bias = try directed(exporter.use(bias), recurrence, [rows], "w_b") }
        return product
      }
    }
    let all = recurrence.directions * rows
    let ones = try unsafe Tensor.build(.float32, [recurrence.directions, rows, all], as: Float.self) {
      (buffer) in
      for index in 0..<all { unsafe buffer[index * all + index] = 1 }
    }
    return InputProduct(x: input(0), w: constant(ones, "w"), bias: nil)
  }

  /// An operand whose first axis counts directions and rows, with an axis of its own for the directions.
  private func directed(
    _ operand: String,
    _ recurrence: Recurrence,
    _ extents: [Int],
    _ suffix: String
  ) throws(Refusal) -> String {
    emit("Reshape", [operand, try ints([recurrence.directions] + extents, "\(suffix)_shape")], suffix)
  }

  private func zeros(_ recurrence: Recurrence, _ count: Int) throws(Refusal) -> String {
    let zeros = [Float](repeating: 0, count: recurrence.directions * count)
    return constant(try Tensor.floats(zeros, [recurrence.directions, count]), "zeros")
  }
}
