package import BinaryIO
package import GraphIR

/// Rounds the rows of a matrix in blocks so that their errors cancel on real inputs.
///
/// For a row of weights `w` and integers `q` with the scales `s` of their blocks, the mean squared error of the output is
/// `eᵀ H e` with `e = w − s·q` and `H = L Lᵀ` the inputs' second moments. Columns are rounded from the one with the largest moment to
/// the one with the least, each to what the errors already made call for: GPTQ (Frantar et al., arXiv:2210.17323), as
/// ``CompensatedRounding`` does it, with scales that are found before, for the moments that compensation leaves of each column.
package struct CompensatedBlocks: Sendable {
  /// Rows that are rounded side by side.
  private typealias Lanes = SIMD16<Float>

  private let length: Int
  private let quantizer: BlockQuantizer
  /// `L`, rows of `length`.
  private let lower: [Float]
  /// The column of the weights that stands at each place.
  private let order: [Int]
  /// For each column, what an error in it costs that later ones cannot make up for.
  private let importance: [Float]

  /// - Parameters:
  ///   - covariance: `length · length` second moments; symmetric.
  ///   - length: Columns.
  ///   - quantizer: Bits and block size.
  ///   - damping: Share of the mean of the diagonal that is added to it.
  package init(covariance: [Double], length: Int, _ quantizer: BlockQuantizer, damping: Double = 0.01) {
    let rounding = RoundingOrder(covariance: covariance, length: length, damping: damping)
    let (order, lower) = (rounding.columns, rounding.lower)
    var importance = [Float](repeating: 0, count: length)
    for (place, column) in order.enumerated() {
      let pivot = lower[place * length + place]
      importance[column] = pivot * pivot
    }
    self.length = length
    self.quantizer = quantizer
    self.order = order
    self.lower = lower
    self.importance = importance
  }

  /// What rounding a matrix gave.
  package struct Result {
    package let weight: BlockQuantizedWeight
    /// `s·q` of every weight, `[rows, depth]`.
    package let values: [Float]
    /// The sum of `eᵀ H e` over all rows, and what it is for ``BlockQuantizer/quantize(_:isTransposed:in:)``.
    package let error: Double
    package let nearestError: Double
  }

  /// Rounds a matrix.
  ///
  /// - Parameters:
  ///   - weight: An f32 matrix, `[rows, length]`, or `[length, rows]` when transposed.
  ///   - isTransposed: Whether the rows to quantize are the tensor's columns.
  ///   - allocator: Where the packed integers live.
  /// - Returns: nil where a scale would exceed f16.
  /// - Throws: A refusal (O36) when a value is not finite, or memory runs out.
  package func round(
    _ weight: Tensor,
    isTransposed: Bool,
    in allocator: StorageAllocator = .heap
  ) throws(Refusal) -> Result? {
    let elements = weight.elements(as: Float.self)
    let rows = elements.count / max(length, 1)
    var values = [Float](repeating: 0, count: elements.count)
    var integers = values
    var scales: [Float16] = []
    var (error, nearestError) = (0.0, 0.0)
    for first in stride(from: 0, to: rows, by: Lanes.scalarCount) {
      let count = min(Lanes.scalarCount, rows - first)
      let own = (first..<(first + count)).map { row in
        (0..<length).map { elements[isTransposed ? $0 * rows + row : row * length + $0] }
      }
      guard own.allSatisfy({ $0.allSatisfy(\.isFinite) }) else {
        _ = try quantizer.quantize(weight, isTransposed: isTransposed, in: allocator)
        return nil
      }
      guard let plain = blockScales(own, nil), let searched = blockScales(own, importance)
      else { return nil }
      let batch = own.placed(in: order)
      nearestError += sweep(batch, steps(plain), isCompensated: false).error
      let found = sweep(batch, steps(searched), isCompensated: true)
      error += found.error
      scales += searched.joined()
      for row in 0..<count {
        for (place, column) in order.enumerated() {
          let target = (first + row) * length + column
          integers[target] = found.integers[place][row]
          values[target] = integers[target] * Float(searched[row][column / quantizer.block])
        }
      }
    }
    let blocks = (length - 1) / quantizer.block + 1
    let packed = try quantizer.quantize(weight, isTransposed: isTransposed, in: allocator) {
      (row, _, rowScales, rowIntegers) in
      rowScales = Array(scales[(row * blocks)..<((row + 1) * blocks)])
      rowIntegers = Array(integers[(row * length)..<((row + 1) * length)])
      return true
    }
    return packed.map { Result(weight: $0, values: values, error: error, nearestError: nearestError) }
  }

  /// The scales of the blocks of rows; nil where f16 has none.
  private func blockScales(_ rows: [[Float]], _ importance: [Float]?) -> [[Float16]]? {
    var result: [[Float16]] = []
    for row in rows {
      var scales: [Float16] = []
      for start in stride(from: 0, to: length, by: quantizer.block) {
        let range = start..<min(start + quantizer.block, length)
        guard let scale = quantizer.scale(of: row[range], importance: importance?[range]) else { return nil }
        scales.append(scale)
      }
      result.append(scales)
    }
    return result
  }

  /// The scale of each place, a lane for each row.
  private func steps(_ scales: [[Float16]]) -> [Lanes] {
    order.map { column in
      var lanes = Lanes(repeating: 1)
      for (row, own) in scales.enumerated() { lanes[row] = Float(own[column / quantizer.block]) }
      return lanes
    }
  }

  /// Rounds rows place by place, from the last to the first.
  ///
  /// - Parameter isCompensated: Whether each place makes up for the errors of those before.
  private func sweep(
    _ weights: [Lanes],
    _ steps: [Lanes],
    isCompensated: Bool
  ) -> (integers: [Lanes], error: Double) {
    var integers = [Lanes](repeating: .zero, count: length)
    var carried = integers
    var total = 0.0
    let low = Lanes(repeating: quantizer.limits.lowerBound)
    let high = Lanes(repeating: quantizer.limits.upperBound)
    unsafe lower.withUnsafeBufferPointer { (lower) in
      unsafe carried.withUnsafeMutableBufferPointer { (carried) in
        for place in stride(from: length - 1, through: 0, by: -1) {
          let row = place &* length
          let pivot = unsafe lower[row &+ place]
          let (weight, step) = (weights[place], steps[place])
          let wanted = unsafe isCompensated ? weight + carried[place] / pivot : weight
          let integer = (wanted / step).clamped(lowerBound: low, upperBound: high)
            .rounded(.toNearestOrEven)
          integers[place] = integer
          let error = weight - integer * step
          let left = unsafe carried[place] + error * pivot
          total += Double((left * left).sum())
          for index in 0..<place { unsafe carried[index] += error * lower[row &+ index] }
        }
      }
    }
    return (integers, total)
  }
}

extension [[Float]] {
  /// A vector for each place with a lane for each row; lanes without a row are 0.
  fileprivate func placed(in order: [Int]) -> [SIMD16<Float>] {
    order.map { column in
      var lanes = SIMD16<Float>.zero
      for (row, values) in enumerated() { lanes[row] = values[column] }
      return lanes
    }
  }
}
