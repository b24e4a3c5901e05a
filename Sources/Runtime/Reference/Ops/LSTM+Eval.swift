internal import BinaryIO
internal import GraphIR

extension LSTM {
  /// Section 11 of `schemas/arithmetic.md`.
  func run(_ e: Evaluation, _ product: StateProduct) throws(Refusal) -> [Tensor] {
    let loop = try RecurrentLoop(recurrence, product, e, lengths: 2, initial: 3)
    let hidden = loop.hidden
    let peepholes = try e.optionalReal(5)?.elements(as: Float.self)
    var cells = try RecurrentLoop.state(e.optionalReal(4), count: loop.initial.count)
    let states = try loop.run { (number, x, state) in
      let direction = number / loop.batch
      let first = direction * LSTM.gateCount * hidden
      let r = product(state, rows: first..<first + LSTM.gateCount * hidden)
      for unit in 0..<hidden {
        let at = { (gate: Int) in r[gate * hidden + unit] + x[x.startIndex + gate * hidden + unit] }
        let p = peepholes.map { p in { (gate: Int) in p[(direction * 3 + gate) * hidden + unit] } }
        let cell = cells[number * hidden + unit]
        let next = nextCell(at, p, cell)
        var o = at(1)
        if let p { o += p(1) * next }
        cells[number * hidden + unit] = next
        state[unit] = SingleMath.sigmoid(clipped(o)) * SingleMath.tanh(next)
      }
    }
    return states + [try Tensor.floats(cells, states[1].shape)]
  }

  /// The cell after a step.
  ///
  /// - Parameters:
  ///   - gate: Operands of the activations without peepholes, in the order i, o, f, c.
  ///   - peephole: In the order i, o, f.
  ///   - cell: The cell before.
  private func nextCell(_ gate: (Int) -> Float, _ peephole: ((Int) -> Float)?, _ cell: Float) -> Float {
    var (i, f) = (gate(0), gate(2))
    if let peephole {
      i += peephole(0) * cell
      f += peephole(2) * cell
    }
    i = SingleMath.sigmoid(clipped(i))
    f = isCoupled ? 1 - i : SingleMath.sigmoid(clipped(f))
    return f * cell + i * SingleMath.tanh(clipped(gate(3)))
  }

  private func clipped(_ x: Float) -> Float { SingleMath.clip(x, recurrence.clip) }
}
