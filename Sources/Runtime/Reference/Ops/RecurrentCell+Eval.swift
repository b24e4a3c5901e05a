internal import BinaryIO
internal import GraphIR

extension RecurrentCell {
  /// The operator on float weights: products in f64, rounded to f32 once; everything else in f32.
  func evaluate(_ e: Evaluation) throws(Refusal) -> [Tensor] {
    let product = StateProduct(try e.real(1), isDynamic: recurrence.isDynamic)
    var results: [Tensor] = []
    for tensor in try run(e, product) { results.append(try tensor.narrowed(to: e.dtype)) }
    return results
  }

  /// Section 11 of `schemas/arithmetic.md`.
  func run(_ e: Evaluation, _ product: StateProduct) throws(Refusal) -> [Tensor] {
    switch self {
    case .lstm(let op): try op.run(e, product)
    case .gru(let op): try op.run(e, product)
    }
  }
}
