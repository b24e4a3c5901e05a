/// Exponential moving averages of each sample's least and greatest value.
///
/// `average ← (1 − alpha) · average + alpha · new`, starting from the first sample; `alpha` is the weight of the new
/// sample. One outlier among many samples then moves the range a little instead of setting it.
package struct MovingAverageObserver: Observer {
  /// The weight of a new sample, in (0, 1].
  package let alpha: Double

  package init(alpha: Double = MovingAverageObserver.standardAlpha) {
    precondition(alpha > 0 && alpha <= 1)
    self.alpha = alpha
  }

  /// The weight used unless another is given.
  package static let standardAlpha = 0.05

  package func bounds(of statistics: ValueStatistics) -> ClosedRange<Float>? {
    guard let first = statistics.extremes.first else { return nil }
    var low = Double(first.low)
    var high = Double(first.high)
    for entry in statistics.extremes.dropFirst() {
      low = (1 - alpha) * low + alpha * Double(entry.low)
      high = (1 - alpha) * high + alpha * Double(entry.high)
    }
    return Float(low)...Float(max(low, high))
  }
}
