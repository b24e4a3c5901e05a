/// What a list of measured times says.
struct LatencyStatistics: Hashable, Sendable {
  let mean: Double
  /// The sample standard deviation (divisor `n - 1`); 0 for one sample.
  let deviation: Double
  let median: Double
  let minimum: Double
  /// The time that 95 % of the samples stay below.
  let p95: Double

  /// - Parameter samples: At least one time, in any order.
  init(_ samples: [Double]) {
    precondition(!samples.isEmpty)
    let sorted = samples.sorted()
    let mean = sorted.reduce(0, +) / Double(sorted.count)
    let squares = sorted.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    self.mean = mean
    deviation = sorted.count > 1 ? (squares / Double(sorted.count - 1)).squareRoot() : 0
    median = LatencyStatistics.quantile(0.5, of: sorted)
    minimum = sorted[0]
    p95 = LatencyStatistics.quantile(0.95, of: sorted)
  }

  /// A quantile, linear between neighbours: that of rank `share * (n - 1)`, counted from 0.
  ///
  /// - Parameters:
  ///   - share: 0 to 1.
  ///   - sorted: Ascending, not empty.
  static func quantile(_ share: Double, of sorted: [Double]) -> Double {
    let rank = share * Double(sorted.count - 1)
    let lower = min(Int(rank), sorted.count - 1)
    let upper = min(lower + 1, sorted.count - 1)
    return sorted[lower] + (rank - Double(lower)) * (sorted[upper] - sorted[lower])
  }
}
