/// Rounds the weights of one group of a linear operator so that their errors cancel on its real inputs.
///
/// For a row of weights `w`, integers `q` and scale `s`, the mean squared error of the output is `eᵀ H e` with `e = w − s·q`
/// and `H` the inputs' second moments. With `H = L Lᵀ`, columns are rounded from the last to the first, each to what the
/// errors already made call for: the nearest-plane method for lattices, which is GPTQ in closed form. A row whose
/// `H` is diagonal is rounded to nearest.
///
/// Deterministic: the same moments give the same integers.
package struct CompensatedRounding: Sendable {
  private let length: Int
  /// Second moments with a little added to the diagonal, in the order of rounding.
  private let moments: [Double]
  /// `L`, rows of `length`.
  private let lower: [Float]
  /// The column of the weights that stands at each place.
  private let order: [Int]

  /// - Parameters:
  ///   - covariance: `length · length` second moments; symmetric.
  ///   - length: Columns.
  ///   - damping: Share of the mean of the diagonal that is added to it.
  package init(covariance: [Double], length: Int, damping: Double = 0.01) {
    let rounding = RoundingOrder(covariance: covariance, length: length, damping: damping)
    self.length = length
    (order, moments, lower) = (rounding.columns, rounding.moments, rounding.lower)
  }

  /// What rounding a row gave.
  package struct Row: Sendable {
    /// One integer in -127...127 per column.
    package let values: [Int8]
    package let scale: Float
    /// `eᵀ H e`.
    package let error: Double
  }

  /// Rounds a row.
  ///
  /// - Parameters:
  ///   - weights: One number per column.
  ///   - scale: The row's scale.
  ///   - sweeps: How often single integers are then moved by 1 where that lowers the error.
  package func round(_ weights: [Double], scale: Float, sweeps: Int) -> Row {
    precondition(weights.count == length)
    let step = Double(scale)
    var integers = [Double](repeating: 0, count: length)
    var errors = [Float](repeating: 0, count: length)
    var carried = [Float](repeating: 0, count: length)
    unsafe lower.withUnsafeBufferPointer { (lower) in
      unsafe carried.withUnsafeMutableBufferPointer { (carried) in
        for place in Swift.stride(from: length - 1, through: 0, by: -1) {
          let pivot = unsafe Double(lower[place * length + place])
          let weight = weights[order[place]]
          let wanted = unsafe weight + Double(carried[place]) / pivot
          let integer = min(max((wanted / step).rounded(.toNearestOrEven), -127), 127)
          integers[place] = integer
          let error = Float(weight - integer * step)
          errors[place] = error
          let row = place &* length
          for index in 0..<place { unsafe carried[index] += lower[row &+ index] * error }
        }
      }
    }
    if sweeps > 0 { descend(weights, step, &integers, sweeps) }
    var values = [Int8](repeating: 0, count: length)
    for (place, column) in order.enumerated() { values[column] = Int8(integers[place]) }
    return Row(values: values, scale: scale, error: error(weights, values, step))
  }

  /// The error of given integers.
  package func error(_ weights: [Double], _ values: [Int8], _ scale: Double) -> Double {
    let errors = order.map { weights[$0] - Double(values[$0]) * scale }
    var total = 0.0
    for row in 0..<length {
      var projection = 0.0
      for column in row..<length { projection += Double(lower[column * length + row]) * errors[column] }
      total += projection * projection
    }
    return total
  }

  /// Moves single integers by 1 while that lowers the error: coordinate descent.
  private func descend(_ weights: [Double], _ step: Double, _ integers: inout [Double], _ sweeps: Int) {
    let errors = (0..<length).map { weights[order[$0]] - integers[$0] * step }
    var gradient = [Double](repeating: 0, count: length)
    unsafe moments.withUnsafeBufferPointer { (moments) in
      unsafe gradient.withUnsafeMutableBufferPointer { (gradient) in
        for (row, error) in errors.enumerated() {
          let base = row &* length
          for column in 0..<length { unsafe gradient[column] += moments[base &+ column] * error }
        }
        for _ in 0..<sweeps {
          var moved = false
          for place in 0..<length {
            let slope = unsafe gradient[place]
            let bend = unsafe moments[place * length + place]
            guard abs(slope) > step * bend * 0.5000001 else { continue }
            let move: Double = slope > 0 ? 1 : -1
            guard abs(integers[place] + move) <= 127 else { continue }
            integers[place] += move
            moved = true
            let base = place &* length
            let change = move * step
            for column in 0..<length { unsafe gradient[column] -= moments[base &+ column] * change }
          }
          if !moved { break }
        }
      }
    }
  }
}
