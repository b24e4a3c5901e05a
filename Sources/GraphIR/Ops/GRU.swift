public import BinaryIO

/// Gated recurrent units over a batch of sequences, as ONNX's `GRU` with its standard activations.
///
/// Per step, direction and row, with the state `h` of the step before:
///
///     z = sigmoid(gates[z] + R[z] h)
///     r = sigmoid(gates[r] + R[r] h)
///     n = tanh(gates[n] + R[n] (r ∘ h))                where the reset comes before the product
///     n = tanh(gates[n] + r ∘ (R[n] h + b))            where it comes after
///     h = (1 − z) ∘ n + z ∘ h
///
/// Inputs: `gates` f32 `[length, batch, D · 3 · hidden]`, the input's product with its weights plus all biases but `b`, per
/// direction in the order z, r, n; `r` `[D · 3 · hidden, hidden]` with rows in the same order; optional `b` `[D · hidden]`
/// (absent: zeros), which only a reset after the product may have; optional `lengths` i32 `[batch]` (absent: all steps) and
/// `h` `[D, batch, hidden]` (absent: zeros) before the first step. D counts the directions.
///
/// Results: `h` after every step `[length, D, batch, hidden]`, zeros behind a sequence's length; `h` after the last step
/// `[D, batch, hidden]`.
///
/// Source: https://onnx.ai/onnx/operators/onnx__GRU.html; Cho et al., Learning phrase representations, 2014.
public struct GRU: OpPayload {
  public var recurrence: Recurrence
  /// Whether the reset gate multiplies the state's product, not the state.
  public var resetsAfter: Bool

  public init(_ recurrence: Recurrence = Recurrence(), resetsAfter: Bool = false) {
    self.recurrence = recurrence
    self.resetsAfter = resetsAfter
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    recurrence = try Recurrence(&a)
    resetsAfter = try a.bool("resets_after") ?? false
  }

  /// Gates of one hidden unit.
  public static let gateCount = 3

  public var name: String { "gru" }
  public var inputCount: ClosedRange<Int> { 2...5 }
  public var outputCount: ClosedRange<Int> { 2...2 }

  public var attributes: Attributes {
    var result = Attributes()
    recurrence.write(to: &result)
    result.set("resets_after", resetsAfter, unless: false)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let extents = try recurrence.extents(rule, gates: GRU.gateCount)
    let state: [Dim] = [.known(recurrence.directions), extents.batch, extents.hidden]
    let bias = [recurrence.perUnit(1, extents.hidden)]
    try rule.require(
      rule.optional(2) == nil || resetsAfter,
      "has a bias for the state, but resets before the product"
    )
    try recurrence.check(
      rule,
      lengths: 3,
      others: [(2, "bias", bias), (4, "initial state", state)],
      extents
    )
    return try recurrence.results(rule, extents, last: 1)
  }
}
