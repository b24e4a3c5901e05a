/// The range whose u8 quantization has the least mean squared error on the histogram.
///
/// A narrower range cuts outliers and has finer steps. Both ends shrink together first, by factors of `2^(-k/16)`; then each
/// is moved alone while that helps. The full range wins ties.
package struct HistogramMSEObserver: Observer {
  package init() {}

  package func bounds(of statistics: ValueStatistics) -> ClosedRange<Float>? {
    guard let bounds = statistics.bounds else { return nil }
    let error = QuantizationError(statistics.histogram)
    let (low, high) = (min(bounds.lowerBound, 0), max(bounds.upperBound, 0))
    var best = (low, high)
    guard var least = error.sum(low: low, high: high) else { return low...high }
    func attempt(_ candidate: (Float, Float)) {
      guard let sum = error.sum(low: candidate.0, high: candidate.1), sum < least else { return }
      (best, least) = (candidate, sum)
    }
    for factor in Shrinking.factors { attempt((low * factor, high * factor)) }
    for _ in 0..<2 where low < 0 && high > 0 {
      for factor in Shrinking.factors { attempt((low * factor, best.1)) }
      for factor in Shrinking.factors { attempt((best.0, high * factor)) }
    }
    return best.0...best.1
  }
}

/// Candidate ranges as factors of the full one.
enum Shrinking {
  /// `2^(-k/16)` from just below 1 down to 1/64.
  static let factors: [Float] = {
    let root = 2.0.squareRoot().squareRoot().squareRoot().squareRoot()
    var factor = 1.0
    return (1...96).map { _ in
      factor /= root
      return Float(factor)
    }
  }()
}
