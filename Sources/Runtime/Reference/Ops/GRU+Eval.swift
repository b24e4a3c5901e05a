internal import BinaryIO
internal import GraphIR

extension GRU {
  /// Section 11 of `schemas/arithmetic.md`.
  func run(_ e: Evaluation, _ product: StateProduct) throws(Refusal) -> [Tensor] {
    let loop = try RecurrentLoop(recurrence, product, e, lengths: 3, initial: 4)
    let hidden = loop.hidden
    let bias = try e.optionalReal(2)?.elements(as: Float.self)
    return try loop.run { (number, x, state) in
      let direction = number / loop.batch
      let first = direction * GRU.gateCount * hidden
      func input(_ gate: Int, _ unit: Int) -> Float { x[x.startIndex + gate * hidden + unit] }
      func rows(_ gates: Range<Int>) -> Range<Int> {
        first + gates.lowerBound * hidden..<first + gates.upperBound * hidden
      }
      let r = product(state, rows: rows(0..<2))
      let gates = r.indices.map { SingleMath.sigmoid(clipped(r[$0] + input(0, $0))) }
      let reset = Array(gates[hidden...])
      let last: [Float]
      if resetsAfter {
        let own = product(state, rows: rows(2..<3))
        last = own.indices.map { reset[$0] * (own[$0] + (bias?[direction * hidden + $0] ?? -0.0)) }
      } else {
        last = product(zip(reset, state).map { $0 * $1 }, rows: rows(2..<3))
      }
      for unit in 0..<hidden {
        let n = SingleMath.tanh(clipped(last[unit] + input(2, unit)))
        let z = gates[unit]
        state[unit] = (1 - z) * n + z * state[unit]
      }
    }
  }

  private func clipped(_ x: Float) -> Float { SingleMath.clip(x, recurrence.clip) }
}
