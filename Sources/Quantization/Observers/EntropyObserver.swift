internal import Glibc

/// The range whose 256 levels keep most of the histogram's information, by the Kullback-Leibler divergence.
///
/// For each candidate, the divergence of the histogram cut at the range, what lies outside being counted at its ends, from
/// the same histogram with every level's values spread evenly over the bins it covers. Zeros do not count.
///
/// This measure alone cuts far too deep on some networks. Hence a guard: a range whose squared error exceeds that of the
/// full range is no candidate.
package struct EntropyObserver: Observer {
  package init() {}

  package func bounds(of statistics: ValueStatistics) -> ClosedRange<Float>? {
    guard let bounds = statistics.bounds else { return nil }
    let (low, high) = (min(bounds.lowerBound, 0), max(bounds.upperBound, 0))
    let points = statistics.histogram.points
    let error = QuantizationError(statistics.histogram)
    guard !points.isEmpty, let bound = error.sum(low: low, high: high) else { return low...high }
    var best = (low, high)
    var least = EntropyObserver.divergence(points, low, high)
    for factor in Shrinking.factors {
      let candidate = (low * factor, high * factor)
      guard let sum = error.sum(low: candidate.0, high: candidate.1), sum <= bound else { continue }
      let divergence = EntropyObserver.divergence(points, candidate.0, candidate.1)
      if divergence < least { (best, least) = (candidate, divergence) }
    }
    return best.0...best.1
  }

  /// `Σ p · ln(p / q)`; infinity where the range holds no value.
  private static func divergence(_ points: [Histogram.Point], _ low: Float, _ high: Float) -> Double {
    guard let params = QuantParams.uint8(low: low, high: high) else { return .infinity }
    let (least, greatest) = (Double(low), Double(high))
    var kept: [(count: Double, level: Int)] = []
    var (below, above) = (0.0, 0.0)
    for point in points {
      if point.value < least {
        below += Double(point.count)
      } else if point.value > greatest {
        above += Double(point.count)
      } else {
        kept.append((Double(point.count), params.quantize(Float(point.value))))
      }
    }
    guard !kept.isEmpty else { return .infinity }
    var mass = [Double](repeating: 0, count: 256)
    var bins = mass
    for bin in kept {
      mass[bin.level] += bin.count
      bins[bin.level] += 1
    }
    let inside = mass.reduce(0, +)
    let total = inside + below + above
    var divergence = 0.0
    for (index, bin) in kept.enumerated() {
      let outside = (index == 0 ? below : 0) + (index == kept.count - 1 ? above : 0)
      let p = (bin.count + outside) / total
      let q = mass[bin.level] / bins[bin.level] / inside
      divergence += p * log(p / q)
    }
    return divergence
  }
}
