/// The ways to find an activation's range.
public enum ObserverKind: String, Hashable, Sendable, CaseIterable, Codable {
  /// The least squared error of quantization; the standard one.
  case histogramMSE = "histogram-mse"
  /// The least and the greatest value of all samples.
  case minMax = "min-max"
  /// Exponential moving averages of each sample's least and greatest value.
  case movingAverage = "moving-average"
  /// All but a small share of the values.
  case percentile
  /// The least loss of information, guarded.
  case entropy

  /// Whether ranges follow from more than each sample's extremes.
  package var needsHistogram: Bool {
    switch self {
    case .minMax, .movingAverage: false
    case .histogramMSE, .percentile, .entropy: true
    }
  }

  /// The observer.
  ///
  /// - Parameters:
  ///   - alpha: The weight of a new sample in a moving average; nil: the standard one.
  ///   - percentile: The share of the values to keep, in percent; nil: the standard one.
  package func makeObserver(alpha: Double? = nil, percentile: Double? = nil) -> any Observer {
    switch self {
    case .minMax: MinMaxObserver()
    case .movingAverage: MovingAverageObserver(alpha: alpha ?? MovingAverageObserver.standardAlpha)
    case .percentile: PercentileObserver(percentile: percentile ?? PercentileObserver.standardPercentile)
    case .histogramMSE: HistogramMSEObserver()
    case .entropy: EntropyObserver()
    }
  }
}
