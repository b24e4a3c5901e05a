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
    weights.indices.map { output in
      let (mean, variance) = moments.response(of: row(output, changed: transform))
      return (mean + bias[output], variance)
    }
  }

  /// How far responses are from those in training: the mean over the channels, the farthest quarter left out, of the
  /// Kullback-Leibler divergence between normal distributions, `((v + (m − M)²)/V − 1 − ln(v/V))/2`, in nats.
  ///
  /// Nil without statistics of the training.
  func distance(of moments: WindowMoments, changed transform: InputTransform) -> Double? {
    divergences(of: moments, changed: transform).map(FirstLayer.trimmedMean)
  }

  /// The mean over all channels of the root of that divergence: of all such measures the one that tells two orders of channels
  /// apart with the fewest samples, since few channels look at colours.
  func meanRoot(of moments: WindowMoments, changed transform: InputTransform) -> Double? {
    divergences(of: moments, changed: transform).map { all in
      all.reduce(0) { $0 + max(0, $1).squareRoot() } / Double(max(all.count, 1))
    }
  }

  private func divergences(of moments: WindowMoments, changed transform: InputTransform) -> [Double]? {
    guard let training else { return nil }
    let responses = responses(to: moments, changed: transform)
    return responses.indices.map { training.divergence(responses[$0], channel: $0) }
  }

  /// The change of scale and shift, the same for all channels, that brings the responses closest to those in training.
  ///
  /// It is sought again without the farthest quarter of the channels.
  func bestTransform(for moments: WindowMoments) -> (transform: InputTransform, distance: Double)? {
    guard let training, moments.windows > 0 else { return nil }
    let channels = weights.indices.map { RescaledResponse(self, $0, moments) }
    var kept = Array(channels.indices)
    var best: (transform: InputTransform, distance: Double)?
    for _ in 0..<3 {
      let search = RescalingSearch(kept.map { channels[$0] }, kept.map { training.target($0) })
      guard let (scale, shift) = search.minimum else { return best }
      let all = channels.indices.map { training.divergence(channels[$0].at(scale, shift), channel: $0) }
      let distance = FirstLayer.trimmedMean(all)
      if distance < best?.distance ?? .infinity {
        best = (InputTransform(channels: geometry.channels, scale: scale, shift: shift), distance)
      }
      kept = Array(all.indices.sorted { all[$0] < all[$1] }.prefix(FirstLayer.keptCount(all.count)))
    }
    return best
  }

  /// What multiplies the pixels and the places inside of the image in a response, when the input is changed first.
  func row(_ output: Int, changed transform: InputTransform) -> [Double] {
    let total = front.after(transform)
    let taps = geometry.taps
    var row = [Double](repeating: 0, count: geometry.length)
    for channel in 0..<geometry.channels {
      for tap in 0..<taps {
        let weight = weights[output][channel * taps + tap]
        row[total.order[channel] * taps + tap] += weight * total.scale[channel]
        row[geometry.channels * taps + tap] += weight * total.shift[channel]
      }
    }
    return row
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
  /// Mean and variance of a channel in training.
  func target(_ channel: Int) -> (mean: Double, variance: Double) {
    (mean[channel], variance[channel] + epsilon)
  }

  /// The Kullback-Leibler divergence of one channel's responses from those in training, in nats.
  func divergence(_ response: (mean: Double, variance: Double), channel: Int) -> Double {
    let found = response.variance + epsilon
    let wanted = variance[channel] + epsilon
    let shift = response.mean - mean[channel]
    return 0.5 * ((found + shift * shift) / wanted - 1 - log(found / wanted))
  }
}
