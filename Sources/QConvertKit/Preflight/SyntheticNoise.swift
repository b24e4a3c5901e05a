internal import Datasets
internal import GraphIR

/// Calibration without data: Gaussian noise of the size that the network was trained on.
enum SyntheticNoise {
  /// Samples made unless a number is asked for.
  static let samples = 32
  static let warning =
    "calibrated on \(Dataset.noiseName): ranges are guesses, and nothing is known of the accuracy on real data"

  /// Whether the text of a calibration says that it saw noise.
  static func isNamed(in calibration: String?) -> Bool { calibration?.contains(Dataset.noiseName) ?? false }

  /// The mean and the deviation at which the first layer responds to white noise most as in training; 0 and 1 where no BatchNorm
  /// tells.
  static func parameters(for graph: Graph) -> (mean: Float, deviation: Float) {
    guard let layer = FirstLayer(Preflight.prepared(graph)),
      let best = layer.bestTransform(for: .whiteNoise(layer.geometry)),
      let scale = best.transform.scale.first, let shift = best.transform.shift.first
    else { return (0, 1) }
    return (rounded(shift), rounded(scale))
  }

  /// Four decimals, or as many as a small number needs.
  private static func rounded(_ value: Double) -> Float {
    abs(value) < 0.01 ? Float(value) : Float((value * 10_000).rounded() / 10_000)
  }
}
