internal import Glibc

/// The first convolution of a network with the statistics that its responses had in training.
struct FirstLayer: Sendable {
  /// What BatchNorm remembers of the training data.
  struct Training: Hashable, Sendable {
    var mean: [Double]
    /// Not negative.
    var variance: [Double]
    /// Added to variances, above 0.
    var epsilon: Double
  }

  /// The network's input.
  var input: String
  /// The node that ``training`` comes from, for messages.
  var place: String
  var isChannelsLast: Bool
  var geometry: WindowMoments.Geometry
  /// One row `[channel, tap]` for each output channel.
  var weights: [[Double]]
  /// One for each output channel.
  var bias: [Double]
  /// What the network does to its input before the convolution.
  var front: InputTransform
  /// Nil where nothing tells.
  var training: Training?

  /// The share of the channels, those least like training, that do not count: dead and odd channels are common.
  private static let trimmed = 0.25

  /// Mean and variance of each output channel when the input is changed first.
  func responses(to moments: WindowMoments, changed transform: InputTransform) -> [(
    mean: Double, variance: Double
  )] {
    let total = front.after(transform)
    let taps = geometry.taps
    return weights.indices.map { output in
      var row = [Double](repeating: 0, count: geometry.length)
      for channel in 0..<geometry.channels {
        for tap in 0..<taps {
          let weight = weights[output][channel * taps + tap]
          row[total.order[channel] * taps + tap] += weight * total.scale[channel]
          row[geometry.channels * taps + tap] += weight * total.shift[channel]
        }
      }
      let (mean, variance) = moments.response(of: row)
      return (mean + bias[output], variance)
    }
  }

  /// How far responses are from those in training: the mean over the channels, the farthest quarter left out, of the
  /// Kullback-Leibler divergence between normal distributions, `((v + (m − M)²)/V − 1 − ln(v/V))/2`, in nats.
  ///
  /// Nil without statistics of the training.
  func distance(of moments: WindowMoments, changed transform: InputTransform) -> Double? {
    guard let training else { return nil }
    let all = zip(responses(to: moments, changed: transform), training.mean.indices).map { response, index in
      training.divergence(response, channel: index)
    }
    return FirstLayer.trimmedMean(all)
  }

  /// The change of scale and shift, the same for all channels, that brings the responses closest to those in training.
  ///
  /// For a shift `b` and a scale `a`, responses are `a·m + b·k + c`, `a²·v` and the divergence is quadratic but for `−ln a`, so
  /// that the minimum has a closed form. It is taken again without the farthest quarter of the channels.
  func bestTransform(for moments: WindowMoments) -> (transform: InputTransform, distance: Double)? {
    guard let training, moments.windows > 0 else { return nil }
    let count = geometry.channels
    let fixed = responses(to: moments, changed: InputTransform(channels: count, scale: 0, shift: 0)).map(
      \.mean
    )
    let scaled = responses(to: moments, changed: InputTransform(channels: count))
    let shifted = responses(to: moments, changed: InputTransform(channels: count, scale: 0, shift: 1)).map(
      \.mean
    )
    var kept = Array(training.mean.indices)
    var best: (transform: InputTransform, distance: Double)?
    for _ in 0..<3 {
      var fit = ScaleAndShift()
      for index in kept {
        fit.add(
          mean: scaled[index].mean - fixed[index],
          variance: scaled[index].variance,
          shift: shifted[index] - fixed[index],
          wanted: training.mean[index] - fixed[index],
          wantedVariance: training.variance[index] + training.epsilon
        )
      }
      guard let (scale, shift) = fit.minimum else { return best }
      let transform = InputTransform(channels: count, scale: scale, shift: shift)
      let responses = responses(to: moments, changed: transform)
      let all = responses.indices.map { training.divergence(responses[$0], channel: $0) }
      let distance = FirstLayer.trimmedMean(all)
      if distance < best?.distance ?? .infinity { best = (transform, distance) }
      kept = Array(all.indices.sorted { all[$0] < all[$1] }.prefix(FirstLayer.keptCount(all.count)))
    }
    return best
  }

  private static func keptCount(_ count: Int) -> Int {
    min(count, Int((Double(count) * (1 - trimmed)).rounded(.up)))
  }

  private static func trimmedMean(_ values: [Double]) -> Double {
    let kept = values.sorted().prefix(keptCount(values.count))
    return kept.isEmpty ? 0 : kept.reduce(0, +) / Double(kept.count)
  }
}

extension FirstLayer.Training {
  /// The Kullback-Leibler divergence of one channel's responses from those in training, in nats.
  func divergence(_ response: (mean: Double, variance: Double), channel: Int) -> Double {
    let found = response.variance + epsilon
    let wanted = variance[channel] + epsilon
    let shift = response.mean - mean[channel]
    return 0.5 * ((found + shift * shift) / wanted - 1 - log(found / wanted))
  }
}

/// The scale `a` and shift `b` with the least `Σ (a²v + (a·m + b·k − w)²)/V − ln a²`.
private struct ScaleAndShift {
  private var channels = 0.0
  private var vv = 0.0
  private var mm = 0.0
  private var mk = 0.0
  private var mw = 0.0
  private var kk = 0.0
  private var kw = 0.0

  mutating func add(
    mean m: Double,
    variance: Double,
    shift k: Double,
    wanted w: Double,
    wantedVariance: Double
  ) {
    channels += 1
    vv += variance / wantedVariance
    mm += m * m / wantedVariance
    mk += m * k / wantedVariance
    mw += m * w / wantedVariance
    kk += k * k / wantedVariance
    kw += k * w / wantedVariance
  }

  /// Nil where the responses do not depend on the input.
  var minimum: (scale: Double, shift: Double)? {
    // With b = (kw − a·mk)/kk what is left is a²·square + 2a·linear − channels · ln a².
    let isShiftable = kk > 0
    let square = vv + mm - (isShiftable ? mk * mk / kk : 0)
    let linear = (isShiftable ? mk * kw / kk : 0) - mw
    guard square > 0, channels > 0 else { return nil }
    let scale = (-linear + (linear * linear + 4 * square * channels).squareRoot()) / (2 * square)
    guard scale.isFinite, scale > 0 else { return nil }
    return (scale, isShiftable ? (kw - scale * mk) / kk : 0)
  }
}
