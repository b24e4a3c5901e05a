internal import BinaryIO
internal import GraphIR

extension Softmax {
  /// In f64 along the axis: `exp(x - max)`, their sum in order, the quotient (or the logarithm) rounded to f32 once.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.real(0)
    let along = axis < 0 ? axis + x.shape.count : axis
    let inner = x.shape[(along + 1)...].reduce(1, *)
    let extent = x.shape[along]
    let result = try unsafe Tensor.build(.float32, x.shape, as: Float.self) { (y) throws(Refusal) in
      unsafe x.withElements(as: Float.self) { x in
        for block in 0..<x.count / Swift.max(extent * inner, 1) {
          for position in 0..<inner {
            let start = block * extent * inner + position
            let values = (0..<extent).map { Double(unsafe x[start + $0 * inner]) }
            for (index, value) in normalized(values).enumerated() {
              unsafe y[start + index * inner] = Float(value)
            }
          }
        }
      }
    }
    return try result.narrowed(to: e.dtype)
  }

  private func normalized(_ values: [Double]) -> [Double] {
    var largest = -Double.infinity
    for value in values where value > largest || value.isNaN { largest = value }
    let exponentials = values.map { ExactMath.exp($0 - largest) }
    let sum = exponentials.reduce(0, +)
    if isGuarded, sum.isNaN { return values.map { _ in 0 } }
    guard isLog else { return exponentials.map { $0 / sum } }
    let logarithm = ExactMath.log(sum)
    return values.map { $0 - largest - logarithm }
  }
}
