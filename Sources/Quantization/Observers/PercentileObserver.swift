/// The range that all but a share of the values lie in, half of the share being cut at each end.
///
/// Values are told apart as finely as the histogram's bins; a bin that holds the last value kept is kept whole.
package struct PercentileObserver: Observer {
  /// The share of the values to keep, in percent: above 50, at most 100.
  package let percentile: Double

  package init(percentile: Double = PercentileObserver.standardPercentile) {
    precondition(percentile > 50 && percentile <= 100)
    self.percentile = percentile
  }

  /// The share kept unless another is given.
  package static let standardPercentile = 99.99

  package func bounds(of statistics: ValueStatistics) -> ClosedRange<Float>? {
    guard let bounds = statistics.bounds else { return nil }
    let histogram = statistics.histogram
    let points = histogram.points
    let cut = Double(histogram.count) * (1 - percentile / 100) / 2
    let half = histogram.width / 2
    let low = PercentileObserver.edge(points, cut: cut).map { Float($0 - half) } ?? 0
    let high = PercentileObserver.edge(points.reversed(), cut: cut).map { Float($0 + half) } ?? 0
    let least = min(max(low, bounds.lowerBound), bounds.upperBound)
    return least...max(least, min(high, bounds.upperBound))
  }

  /// The first point, counted from one end of one sign, at which more than `cut` values have been met; nil: 0 is met first.
  private static func edge(_ points: [Histogram.Point], cut: Double) -> Double? {
    guard let first = points.first else { return nil }
    var met = 0.0
    for point in points {
      guard (point.value < 0) == (first.value < 0) else { return nil }
      met += Double(point.count)
      if met > cut { return point.value }
    }
    return nil
  }
}
