/// Exponential moving averages of each sample's least and greatest value.
///
/// `average ← (1 − alpha) · average + alpha · new`, starting from the first sample; `alpha` is the weight of the new
/// sample. One outlier among many samples then moves the range a little instead of setting it.
package struct MovingAverageObserver: Observer {
  /// The weight of a new sample, in (0, 1].
  package let alpha: Double
  package private(set) var samples = 0
  package private(set) var nonFinite = 0
  private var low: Average?
  private var high: Average?

  package init(alpha: Double = MovingAverageObserver.standardAlpha) {
    precondition(alpha > 0 && alpha <= 1)
    self.alpha = alpha
  }

  /// The weight used unless another is given.
  package static let standardAlpha = 0.05

  package mutating func observe(_ values: Span<Float>) {
    let extent = Extent(values)
    samples += 1
    nonFinite += extent.nonFinite
    guard let bounds = extent.bounds else { return }
    append(Average(Double(bounds.lowerBound)), Average(Double(bounds.upperBound)))
  }

  /// Takes in what another observer with the same `alpha` saw after this one.
  package mutating func merge(_ other: MovingAverageObserver) {
    precondition(alpha == other.alpha)
    samples += other.samples
    nonFinite += other.nonFinite
    guard let low = other.low, let high = other.high else { return }
    append(low, high)
  }

  package var bounds: ClosedRange<Float>? {
    guard let low, let high else { return nil }
    return Float(low.value)...Float(max(low.value, high.value))
  }

  private mutating func append(_ nextLow: Average, _ nextHigh: Average) {
    low = low?.followed(by: nextLow, alpha) ?? nextLow
    high = high?.followed(by: nextHigh, alpha) ?? nextHigh
  }

  /// A moving average kept so that two can be joined: what the first sample weighs, and the sum of the others.
  private struct Average: Sendable {
    let first: Double
    /// `(1 − alpha)^(n − 1)` for `n` samples.
    let weightOfFirst: Double
    /// `Σ alpha · (1 − alpha)^(n − 1 − i) · x_i` over all but the first.
    let others: Double

    init(_ value: Double) { self.init(first: value, weightOfFirst: 1, others: 0) }

    private init(first: Double, weightOfFirst: Double, others: Double) {
      self.first = first
      self.weightOfFirst = weightOfFirst
      self.others = others
    }

    var value: Double { others + weightOfFirst * first }

    func followed(by next: Average, _ alpha: Double) -> Average {
      let decay = next.weightOfFirst * (1 - alpha)
      return Average(
        first: first,
        weightOfFirst: weightOfFirst * decay,
        others: others * decay + next.others + alpha * next.weightOfFirst * next.first
      )
    }
  }
}
