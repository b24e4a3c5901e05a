internal import BinaryIO
internal import GraphIR

extension DynamicRecurrence {
  /// - Parameter operands: Those of the operator but its matrix.
  func run(_ operands: [Tensor?]) throws(Refusal) -> [Tensor] {
    // The operator's numbers of operands: the matrix is the second one.
    let inputs = operands.prefix(1) + [nil] + operands.dropFirst(1)
    let e = Evaluation(inputs: Array(inputs), types: [])
    return try cell.run(e, StateProduct(weights, scales: weightScales))
  }
}
