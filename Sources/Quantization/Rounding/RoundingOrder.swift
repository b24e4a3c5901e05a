/// Second moments of a layer's inputs in the order in which its columns are rounded, with their factorization.
struct RoundingOrder: Sendable {
  /// The column of the weights that stands at each place, the one with the largest moment last.
  let columns: [Int]
  /// `H` with a little added to the diagonal, rows of as many elements as there are columns.
  let moments: [Double]
  /// `L` with `L Lᵀ = H`.
  let lower: [Float]

  /// - Parameters:
  ///   - covariance: `length · length` second moments; symmetric.
  ///   - length: Columns.
  ///   - damping: Share of the mean of the diagonal that is added to it.
  init(covariance: [Double], length: Int, damping: Double) {
    precondition(covariance.count == length * length)
    let diagonal = (0..<length).map { max(0, covariance[$0 * length + $0]) }
    let mean = diagonal.reduce(0, +) / Double(max(length, 1))
    let columns = (0..<length).sorted { (diagonal[$0], $0) < (diagonal[$1], $1) }
    var moments = [Double](repeating: 0, count: length * length)
    for (row, from) in columns.enumerated() {
      for (column, other) in columns.enumerated() {
        moments[row * length + column] = covariance[from * length + other]
      }
      moments[row * length + row] += mean > 0 ? damping * mean : 1
    }
    self.columns = columns
    self.moments = moments
    lower = Cholesky.lower(moments, length).map { Float($0) }
  }
}
