internal import BinaryIO
internal import GraphIR

/// The walk over directions, rows and steps that the recurrent operators share.
struct RecurrentLoop {
  let recurrence: Recurrence
  let product: StateProduct
  let length: Int
  let batch: Int
  let hidden: Int
  /// Steps of every row.
  let lengths: [Int]
  let gates: [Float]
  /// Before the first step: one row of `hidden` per direction and row of the batch.
  let initial: [Float]

  /// - Parameters:
  ///   - recurrence: The order of the steps.
  ///   - product: The product of the state.
  ///   - e: The operands; the first is `gates`.
  ///   - indices: Of the operands `lengths` and initial state.
  init(
    _ recurrence: Recurrence,
    _ product: StateProduct,
    _ e: Evaluation,
    lengths index: Int,
    initial: Int
  ) throws(Refusal) {
    let gates = try e.real(0)
    self.recurrence = recurrence
    self.product = product
    (length, batch, hidden) = (gates.shape[0], gates.shape[1], product.hidden)
    lengths = try RecurrentLoop.lengths(e.optional(index), length: length, batch: batch)
    self.gates = gates.elements(as: Float.self)
    self.initial = try RecurrentLoop.state(
      e.optionalReal(initial),
      count: recurrence.directions * batch * hidden
    )
  }

  /// The elements of a state; zeros where there is none.
  static func state(_ tensor: Tensor?, count: Int) throws(Refusal) -> [Float] {
    tensor?.elements(as: Float.self) ?? [Float](repeating: 0, count: count)
  }

  private static func lengths(_ tensor: Tensor?, length: Int, batch: Int) throws(Refusal) -> [Int] {
    guard let values = tensor?.intValues() else { return Array(repeating: length, count: batch) }
    try check(values, length: length)
    return values
  }

  /// - Throws: V3 where one of the rows' lengths is negative or more than `length`.
  static func check(_ values: [Int], length: Int) throws(Refusal) {
    guard let row = values.firstIndex(where: { !(0...length).contains($0) }) else { return }
    throw Evaluation.refusal(
      "V3",
      "row \(row) has a length of \(values[row]), must be 0 to \(length)",
      remedy: "correct the lengths in the input"
    )
  }

  /// All states and the last one of each row.
  ///
  /// - Parameter step: Replaces the state of a row by the next one; gets the number of the row, counted through the
  ///   directions, and the row of `gates` of this direction.
  func run(_ step: (Int, ArraySlice<Float>, inout [Float]) -> Void) throws(Refusal) -> [Tensor] {
    let directions = recurrence.directions
    let width = gates.count / max(1, length * batch * directions)
    var states = [Float](repeating: 0, count: length * directions * batch * hidden)
    var last: [Float] = []
    for direction in 0..<directions {
      for row in 0..<batch {
        let number = direction * batch + row
        var state = Array(initial[number * hidden..<(number + 1) * hidden])
        for index in 0..<lengths[row] {
          let time = recurrence.isReversed(direction) ? lengths[row] - 1 - index : index
          let start = ((time * batch + row) * directions + direction) * width
          step(number, gates[start..<start + width], &state)
          let place = (time * directions * batch + number) * hidden
          states.replaceSubrange(place..<place + hidden, with: state)
        }
        last += state
      }
    }
    return [
      try Tensor.floats(states, [length, directions, batch, hidden]),
      try Tensor.floats(last, [directions, batch, hidden]),
    ]
  }
}

/// The product of a state with rows of a matrix.
struct StateProduct {
  private enum Weights {
    case floats([Float])
    case integers([Int8], scales: [Float])
  }

  private let weights: Weights
  /// Whether the state is quantized by its own range before.
  private let isDynamic: Bool
  /// Elements of a state.
  let hidden: Int

  /// Products in f64, rounded to f32 once.
  init(_ r: Tensor, isDynamic: Bool) {
    weights = .floats(r.elements(as: Float.self))
    self.isDynamic = isDynamic
    hidden = r.shape[1]
  }

  /// Section 4.2 of `schemas/arithmetic.md`.
  init(_ r: Tensor, scales: [Float]) {
    weights = .integers(r.elements(as: Int8.self), scales: scales)
    isDynamic = true
    hidden = r.shape[1]
  }

  /// The products with these rows.
  func callAsFunction(_ state: [Float], rows: Range<Int>) -> [Float] {
    let affine = IntegerArithmetic.dynamicParameters(state)
    switch weights {
    case .floats(let r):
      let seen =
        isDynamic
        ? state.map { IntegerArithmetic.dequantize(IntegerArithmetic.quantize($0, affine), affine) } : state
      return rows.map { row in
        var sum = 0.0
        for k in 0..<hidden { sum += Double(seen[k]) * Double(r[row * hidden + k]) }
        return Float(sum)
      }
    case .integers(let r, let scales):
      let seen = state.map { Int32(IntegerArithmetic.quantize($0, affine)) - Int32(affine.zeroPoint) }
      return rows.map { row in
        var sum: Int32 = 0
        for k in 0..<hidden { sum &+= seen[k] &* Int32(r[row * hidden + k]) }
        return Float(sum) * IntegerArithmetic.accumulatorScale(affine.scale, scales[row])
      }
    }
  }
}
