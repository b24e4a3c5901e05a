import BinaryIO
import GraphIR

/// Bicubic resampling of a square table of position embeddings, as PyTorch computes `interpolate`.
struct PositionGrid: Sendable {
  /// Which of PyTorch's two bicubic filters is meant.
  enum Filter: Hashable, Sendable {
    /// Four taps, a = −0.75. A `scaleOffset` is added to the target extent where that becomes a scale factor.
    case interpolated(scaleOffset: Double)
    /// As many taps as the shrinkage asks for, a = −0.5 (`antialias=True`).
    case antialiased
  }

  /// The source entries that make one target entry.
  private struct Taps {
    var first: [Int] = []
    var weights: [Double] = []
  }

  /// Entries along a side of the table.
  let side: Int
  let rows: Int
  let columns: Int
  let filter: Filter

  /// Whether the table is used as it is.
  var isIdentity: Bool { rows == side && columns == side }

  /// The rows `prefix ..< prefix + side²` of a table `[1, n, width]`, resampled to `[1, rows · columns, width]`.
  func resampled(_ table: Tensor, prefix: Int) throws(Refusal) -> Tensor {
    let width = table.shape.last ?? 1
    let values = (table.floatValues() ?? [])[(prefix * width)...]
    guard !isIdentity else { return try .floats(Array(values), [1, side * side, width]) }
    // Along the columns first, as [side, columns, width].
    var narrow = [Double](repeating: 0, count: side * columns * width)
    let start = values.startIndex
    for (column, taps) in taps(to: columns).enumerated() {
      for row in 0..<side {
        let target = (row * columns + column) * width
        for (source, weight) in zip(taps.first, taps.weights) {
          let from = start + (row * side + source) * width
          for channel in 0..<width { narrow[target + channel] += weight * Double(values[from + channel]) }
        }
      }
    }
    var result = [Double](repeating: 0, count: rows * columns * width)
    for (row, taps) in taps(to: rows).enumerated() {
      for (source, weight) in zip(taps.first, taps.weights) {
        let (from, target) = (source * columns * width, row * columns * width)
        for index in 0..<columns * width { result[target + index] += weight * narrow[from + index] }
      }
    }
    return try .floats(result.map { Float($0) }, [1, rows * columns, width])
  }

  private func taps(to count: Int) -> [Taps] {
    switch filter {
    case .interpolated(let offset):
      let scale = Double(Float(Double(side) / (Double(count) + offset)))
      return (0..<count).map { index in
        let position = scale * (Double(index) + 0.5) - 0.5
        let base = position.rounded(.down)
        return Taps(
          first: (-1...2).map { min(max(Int(base) + $0, 0), side - 1) },
          weights: (-1...2).map { PositionGrid.cubic(Double($0) - (position - base), -0.75) }
        )
      }
    case .antialiased:
      let scale = Double(Float(Double(side) / Double(count)))
      let stretch = max(scale, 1)
      return (0..<count).map { index in
        let centre = scale * (Double(index) + 0.5)
        let first = max(Int(centre - 2 * stretch + 0.5), 0)
        let last = min(Int(centre + 2 * stretch + 0.5), side)
        let weights = (first..<last).map { source in
          PositionGrid.cubic((Double(source) - centre + 0.5) / stretch, -0.5)
        }
        let total = weights.reduce(0, +)
        return Taps(first: Array(first..<last), weights: weights.map { $0 / total })
      }
    }
  }

  /// Keys' cubic convolution kernel.
  private static func cubic(_ x: Double, _ a: Double) -> Double {
    let x = abs(x)
    if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    return x < 2 ? ((x - 5) * x + 8) * x * a - 4 * a : 0
  }
}

extension Tensor {
  /// The first `count` rows of a table `[1, n, width]`, as f32.
  func leadingRows(_ count: Int) throws(Refusal) -> Tensor {
    let width = shape.last ?? 1
    return try .floats(Array((floatValues() ?? []).prefix(count * width)), [1, count, width])
  }
}
