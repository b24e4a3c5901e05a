public import BinaryIO

/// Long short-term memory over a batch of sequences, as ONNX's `LSTM` with its standard activations.
///
/// Per step, direction and row, with the state `h` and the cell `c` of the step before:
///
///     i = sigmoid(gates[i] + R[i] h + P[i] ∘ c)
///     f = sigmoid(gates[f] + R[f] h + P[f] ∘ c)        1 − i where the gates are coupled
///     c = f ∘ c + i ∘ tanh(gates[c] + R[c] h)
///     o = sigmoid(gates[o] + R[o] h + P[o] ∘ c)        with the new c
///     h = o ∘ tanh(c)
///
/// Inputs: `gates` f32 `[length, batch, D · 4 · hidden]`, the input's product with its weights plus all biases, per
/// direction in the order i, o, f, c; `r` `[D · 4 · hidden, hidden]` with rows in the same order; optional `lengths` i32
/// `[batch]` (absent: all steps), `h` and `c` `[D, batch, hidden]` (absent: zeros) before the first step, and peepholes
/// `p` `[D · 3 · hidden]` in the order i, o, f. D counts the directions.
///
/// Results: `h` after every step `[length, D, batch, hidden]`, zeros behind a sequence's length; `h` and `c` after the last
/// step `[D, batch, hidden]`.
///
/// Source: https://onnx.ai/onnx/operators/onnx__LSTM.html; Hochreiter and Schmidhuber, Long short-term memory, 1997.
public struct LSTM: OpPayload {
  public var recurrence: Recurrence
  /// Whether `f` is `1 − i`.
  public var isCoupled: Bool

  public init(_ recurrence: Recurrence = Recurrence(), isCoupled: Bool = false) {
    self.recurrence = recurrence
    self.isCoupled = isCoupled
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    recurrence = try Recurrence(&a)
    isCoupled = try a.bool("coupled") ?? false
  }

  /// Gates of one hidden unit.
  public static let gateCount = 4

  public var name: String { "lstm" }
  public var inputCount: ClosedRange<Int> { 2...6 }
  public var outputCount: ClosedRange<Int> { 3...3 }

  public var attributes: Attributes {
    var result = Attributes()
    recurrence.write(to: &result)
    result.set("coupled", isCoupled, unless: false)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let extents = try recurrence.extents(rule, gates: LSTM.gateCount)
    let state: [Dim] = [.known(recurrence.directions), extents.batch, extents.hidden]
    let peepholes = [recurrence.perUnit(3, extents.hidden)]
    try recurrence.check(
      rule,
      lengths: 2,
      others: [(3, "initial state", state), (4, "initial cell", state), (5, "peephole weight", peepholes)],
      extents
    )
    return try recurrence.results(rule, extents, last: 2)
  }
}
