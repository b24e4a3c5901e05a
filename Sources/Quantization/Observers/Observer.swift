package import BinaryIO

/// Chooses the range to quantize a value for, from what calibration remembers of it.
package protocol Observer: Sendable {
  /// The range; nil where nothing finite was seen.
  func bounds(of statistics: ValueStatistics) -> ClosedRange<Float>?
}

extension Observer {
  /// The range to quantize for; it includes 0.
  ///
  /// - Throws: A refusal (K7) when nothing was seen, or a value was NaN or infinite.
  package func range(of statistics: ValueStatistics) throws(Refusal) -> ClosedRange<Float> {
    guard statistics.nonFinite == 0 else {
      throw observerRefusal(
        "\(statistics.nonFinite) of the observed values are NaN or infinite",
        "check the model and the preprocessing; a range cannot be told"
      )
    }
    guard let bounds = bounds(of: statistics) else {
      throw observerRefusal("no value was observed", "calibrate with at least one sample")
    }
    return min(bounds.lowerBound, 0)...max(bounds.upperBound, 0)
  }
}

private func observerRefusal(_ problem: String, _ remedy: String) -> Refusal {
  Refusal(.invalid, at: "observed range", rule: "K7", problem, remedy: remedy)
}
