internal import Glibc

/// Mean and variance of one channel's response as functions of a scale and a shift of the input.
///
/// The response is `a·y + b·k + f`: `y` from the pixels, `k` from where the image is, `f` from what the network adds itself. In
/// the padding nothing is added, so that `k` and `f` vary, too.
struct RescaledResponse: Sendable {
  private let means: [Double]
  /// Covariances of `y`, `k` and `f`, row by row.
  private let covariances: [Double]

  init(_ layer: FirstLayer, _ output: Int, _ moments: WindowMoments) {
    let count = layer.geometry.channels
    let fixed = layer.row(output, changed: InputTransform(channels: count, scale: 0, shift: 0))
    let pixels = layer.row(output, changed: InputTransform(channels: count))
    let places = layer.row(output, changed: InputTransform(channels: count, scale: 0, shift: 1))
    let parts = [zip(pixels, fixed).map(-), zip(places, fixed).map(-), fixed]
    let own = parts.map { moments.response(of: $0) }
    means = [own[0].mean, own[1].mean, own[2].mean + layer.bias[output]]
    var covariances = [Double](repeating: 0, count: 9)
    for first in 0..<3 {
      for second in 0..<3 {
        guard first != second else {
          covariances[4 * first] = own[first].variance
          continue
        }
        let sum = moments.response(of: zip(parts[first], parts[second]).map(+)).variance
        covariances[3 * first + second] = (sum - own[first].variance - own[second].variance) / 2
      }
    }
    self.covariances = covariances
  }

  var pixelMean: Double { means[0] }
  var placeMean: Double { means[1] }
  var fixedMean: Double { means[2] }

  /// Mean and variance when the input is multiplied by `scale` and `shift` is added.
  func at(_ scale: Double, _ shift: Double) -> (mean: Double, variance: Double) {
    let factors = [scale, shift, 1]
    var (mean, variance) = (0.0, 0.0)
    for first in 0..<3 {
      mean += factors[first] * means[first]
      for second in 0..<3 { variance += factors[first] * factors[second] * covariances[3 * first + second] }
    }
    return (mean, max(0, variance))
  }
}

/// Looks for the scale and shift at which responses are closest to those in training, by mean divergence.
struct RescalingSearch {
  private let channels: [RescaledResponse]
  private let targets: [(mean: Double, variance: Double)]
  /// `Σ k²/V`: how much a shift matters.
  private let shiftWeight: Double

  /// Scales tried first: powers of two with these exponents.
  private static let exponents = -16...16
  /// Steps of the logarithm of the scale, and of the shift in its own unit.
  private static let firstStep = 0.5
  private static let lastStep = 1e-7

  init(_ channels: [RescaledResponse], _ targets: [(mean: Double, variance: Double)]) {
    self.channels = channels
    self.targets = targets
    shiftWeight = zip(channels, targets).reduce(0) { $0 + $1.0.placeMean * $1.0.placeMean / $1.1.variance }
  }

  /// Nil where the responses do not depend on the input.
  var minimum: (scale: Double, shift: Double)? {
    guard channels.contains(where: { $0.at(1, 0).variance > 0 }) else { return nil }
    let starts = RescalingSearch.exponents.map { Double($0) * 0.693_147_180_559_945_3 }
    guard var place = starts.map({ ($0, 0.0) }).min(by: { cost($0.0, $0.1) < cost($1.0, $1.1) }) else {
      return nil
    }
    var least = cost(place.0, place.1)
    var step = RescalingSearch.firstStep
    let directions = [(1.0, 0.0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)]
    while step > RescalingSearch.lastStep {
      let tried = directions.map { (place.0 + step * $0.0, place.1 + step * $0.1) }
      let costs = tried.map { cost($0.0, $0.1) }
      guard let index = costs.indices.min(by: { costs[$0] < costs[$1] }), costs[index] < least else {
        step /= 2
        continue
      }
      (place, least) = (tried[index], costs[index])
    }
    let found = (scale: exp(place.0), shift: shift(exp(place.0), place.1))
    return found.scale.isFinite && found.shift.isFinite ? found : nil
  }

  /// The shift that matches the means best at a scale, plus `offset` standard units.
  private func shift(_ scale: Double, _ offset: Double) -> Double {
    guard shiftWeight > 0 else { return 0 }
    let pull = zip(channels, targets).reduce(0) { sum, pair in
      let (channel, target) = pair
      let missing = target.mean - scale * channel.pixelMean - channel.fixedMean
      return sum + missing * channel.placeMean / target.variance
    }
    return pull / shiftWeight + offset * (Double(channels.count) / shiftWeight).squareRoot()
  }

  private func cost(_ logScale: Double, _ offset: Double) -> Double {
    let scale = exp(logScale)
    let shift = shift(scale, offset)
    let sum = zip(channels, targets).reduce(0.0) { sum, pair in
      let found = pair.0.at(scale, shift)
      let error = found.mean - pair.1.mean
      let ratio = max(found.variance / pair.1.variance, 1e-30)
      return sum + ratio + error * error / pair.1.variance - log(ratio)
    }
    return sum.isFinite ? sum : .greatestFiniteMagnitude
  }
}
