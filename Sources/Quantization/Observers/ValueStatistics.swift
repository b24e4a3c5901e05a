package import GraphIR

/// What calibration remembers of one value: each sample's extremes, and a histogram of all of them.
///
/// Memory is that of the histogram and 16 bytes per sample. Two statistics of different samples merge into exactly what one
/// pass over all of them gives, in whatever order; observers then choose a range from it.
package struct ValueStatistics: Hashable, Sendable, Codable {
  /// The least and greatest finite value of one sample.
  package struct Extremes: Hashable, Sendable, Codable {
    /// The number of the sample in the whole data set.
    package let sample: Int
    package let low: Float
    package let high: Float
  }

  /// Samples seen.
  package private(set) var samples = 0
  /// Values that were NaN or infinite; they do not count otherwise.
  package private(set) var nonFinite = 0
  /// One entry per sample with a finite value, in order of the samples' numbers.
  package private(set) var extremes: [Extremes] = []
  package private(set) var histogram = Histogram()

  package init() {}

  /// The least and greatest value of all samples; nil before the first finite one.
  package var bounds: ClosedRange<Float>? {
    guard let low = extremes.lazy.map(\.low).min(), let high = extremes.lazy.map(\.high).max() else {
      return nil
    }
    return low...high
  }

  /// Takes the values of one sample.
  ///
  /// - Parameters:
  ///   - values: The values.
  ///   - sample: The number of the sample in the whole data set; nil: the one after those seen.
  ///   - isCounting: Whether the histogram takes them, which costs most of the time.
  package mutating func observe(_ values: Span<Float>, sample: Int? = nil, isCounting: Bool = true) {
    let number = sample ?? samples
    let extent = Extent(values)
    samples += 1
    nonFinite += extent.nonFinite
    guard let bounds = extent.bounds else { return }
    insert(Extremes(sample: number, low: bounds.lowerBound, high: bounds.upperBound))
    guard isCounting else { return }
    let peak = max(abs(bounds.lowerBound), abs(bounds.upperBound))
    guard extent.nonFinite > 0 else {
      histogram.add(values, peak: peak)
      return
    }
    var finite: [Float] = []
    for index in values.indices where values[index].isFinite { finite.append(values[index]) }
    histogram.add(finite.span, peak: peak)
  }

  /// Takes the f32 tensor of one sample.
  package mutating func observe(_ tensor: Tensor, sample: Int? = nil, isCounting: Bool = true) {
    precondition(tensor.dtype == .float32)
    unsafe tensor.withElements(as: Float.self) {
      observe(unsafe Span(_unsafeElements: $0), sample: sample, isCounting: isCounting)
    }
  }

  /// Takes in what was seen of other samples.
  package mutating func merge(_ other: ValueStatistics) {
    samples += other.samples
    nonFinite += other.nonFinite
    for entry in other.extremes { insert(entry) }
    histogram.merge(other.histogram)
  }

  /// Whether the numbers can stand beside each other; those of a damaged file may not.
  package var isSound: Bool {
    (0...(1 << 40)).contains(samples) && (0...(1 << 48)).contains(nonFinite) && extremes.count <= samples
      && extremes.allSatisfy { $0.low.isFinite && $0.high.isFinite && $0.low <= $0.high && $0.sample >= 0 }
  }

  private mutating func insert(_ entry: Extremes) {
    let place = extremes.lastIndex { $0.sample <= entry.sample }.map { $0 + 1 } ?? 0
    extremes.insert(entry, at: place)
  }
}
