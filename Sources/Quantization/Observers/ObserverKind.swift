/// The ways to find an activation's range.
public enum ObserverKind: String, Hashable, Sendable, CaseIterable, Codable {
  /// The least and the greatest value of all samples.
  case minMax = "min-max"
  /// Exponential moving averages of each sample's least and greatest value.
  case movingAverage = "moving-average"

  /// An observer that has seen nothing.
  ///
  /// - Parameter alpha: The weight of a new sample in a moving average; nil: the standard one.
  package func makeObserver(alpha: Double? = nil) -> any Observer {
    switch self {
    case .minMax: MinMaxObserver()
    case .movingAverage: MovingAverageObserver(alpha: alpha ?? MovingAverageObserver.standardAlpha)
    }
  }
}
