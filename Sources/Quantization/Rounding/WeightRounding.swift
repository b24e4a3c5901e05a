/// How weights become integers.
public enum WeightRounding: String, Hashable, Sendable, CaseIterable {
  /// Each to the nearest.
  case nearest
  /// Each to what the errors of the others call for, on calibration data.
  case gptq
  /// As `gptq`, for targets that also undo the errors of earlier layers, with searched scales and refined by moving single
  /// integers up and down.
  case adaround

  /// Whether calibration data is needed.
  package var needsData: Bool { self != .nearest }
}
