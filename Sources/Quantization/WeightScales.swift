import GraphIR

/// How the scale of a weight is chosen.
public enum WeightScales: String, Hashable, Sendable, CaseIterable {
  /// The largest magnitude is the greatest integer.
  case minMax = "min-max"
  /// The least squared error of the weights; the largest ones may be cut.
  case mse
}

extension WeightQuantizer {
  /// Shares of the largest magnitude that are tried, besides all of it.
  private static let shares: [Float] = (1...24).map { 1 - 0.02 * Float($0) }

  /// For each channel the part of its magnitude whose scale gives the least squared error.
  ///
  /// - Parameter peaks: The largest magnitude of each channel.
  static func fitted(_ weight: Tensor, _ layout: ChannelLayout, _ peaks: [Float]) -> [Float] {
    var best = peaks
    var least = errors(weight, layout, peaks)
    for share in shares {
      let candidates = peaks.map { $0 * share }
      let found = errors(weight, layout, candidates)
      for channel in peaks.indices where found[channel] < least[channel] {
        least[channel] = found[channel]
        best[channel] = candidates[channel]
      }
    }
    return best
  }

  /// `Σ (w − s·q)²` of each channel with `s = peak / 127`.
  private static func errors(_ weight: Tensor, _ layout: ChannelLayout, _ peaks: [Float]) -> [Double] {
    var sums = [Double](repeating: 0, count: peaks.count)
    let scales = peaks.map { $0 > 0 ? $0 / 127 : 1 }
    unsafe weight.forEachBlock(of: Float.self) { (block, start) in
      layout.forEachRun(in: start..<(start + block.count)) { (run, _, channel) in
        let isSpread = layout.inner == 1
        for (step, index) in run.enumerated() {
          let place = isSpread ? channel + step : channel
          let value = unsafe block[index - start]
          let quotient = min(max(value / scales[place], -127), 127)
          let error = value - quotient.rounded(.toNearestOrEven) * scales[place]
          sums[place] += Double(error * error)
        }
      }
    }
    return sums
  }
}
