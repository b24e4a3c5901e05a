package import GraphIR

/// Sums of each channel's mean over samples, for correcting biases.
///
/// A sample's mean is rounded to a multiple of 2^-24 and bounded by 2^20 in magnitude, so that sums are exact: they do not depend on
/// the order of samples, nor on how statistics of parts are merged.
package struct ChannelSums: Hashable, Sendable, Codable {
  private static let steps = 0x1p24
  private static let bound = 0x1p44

  /// Samples seen.
  package private(set) var samples = 0
  /// One sum per channel, in steps; empty before the first sample.
  private var sums: [Int] = []

  package init() {}

  /// Channels; 0 before the first sample.
  package var count: Int { sums.count }

  /// The mean of each channel.
  package var means: [Double] {
    sums.map { Double($0) / ChannelSums.steps / Double(max(samples, 1)) }
  }

  /// Takes the value of one sample; values of which another number of channels was seen do not count.
  ///
  /// - Parameters:
  ///   - tensor: f32.
  ///   - isLast: Whether channels lie along the last axis, not along the second.
  package mutating func observe(_ tensor: Tensor, isLast: Bool) {
    let means = ChannelSums.means(of: tensor, isLast: isLast)
    if samples == 0 { sums = [Int](repeating: 0, count: means.count) }
    samples += 1
    guard means.count == sums.count else { return }
    for (channel, mean) in means.enumerated() where mean.isFinite {
      let step = (mean * ChannelSums.steps).rounded(.toNearestOrEven)
      add(Int(min(max(step, -ChannelSums.bound), ChannelSums.bound)), to: channel)
    }
  }

  /// Takes in what was seen of other samples.
  package mutating func merge(_ other: ChannelSums) {
    if samples == 0 { sums = [Int](repeating: 0, count: other.sums.count) }
    samples += other.samples
    guard other.count == count else { return }
    for (channel, sum) in other.sums.enumerated() { add(sum, to: channel) }
  }

  private mutating func add(_ steps: Int, to channel: Int) {
    let (sum, isOverflow) = sums[channel].addingReportingOverflow(steps)
    if !isOverflow { sums[channel] = sum }
  }

  /// The mean of each channel of an f32 or u8 tensor.
  ///
  /// - Parameter range: What lies outside of it counts as its end; f32 only.
  package static func means(
    of tensor: Tensor,
    isLast: Bool,
    within range: ClosedRange<Float> = -.infinity ... .infinity
  ) -> [Double] {
    guard tensor.count > 0, tensor.shape.count >= 2 || isLast else { return [] }
    let channels = tensor.shape[isLast ? tensor.shape.count - 1 : 1]
    // Elements of one channel that follow each other.
    let area = isLast ? 1 : tensor.shape[2...].reduce(1, *)
    var result = [Double](repeating: 0, count: channels)
    if tensor.dtype == .uint8 {
      unsafe tensor.withElements(as: UInt8.self) { (data) in
        for row in 0..<(tensor.count / area) {
          var sum = 0
          for index in (row * area)..<((row + 1) * area) { unsafe sum &+= Int(data[index]) }
          result[row % channels] += Double(sum)
        }
      }
    } else {
      unsafe tensor.withElements(as: Float.self) { (data) in
        for row in 0..<(tensor.count / area) {
          unsafe result[row % channels] += sum(data, row * area, area, range)
        }
      }
    }
    return result.map { $0 / Double(tensor.count / channels) }
  }

  private static func sum(
    _ data: UnsafeBufferPointer<Float>,
    _ start: Int,
    _ count: Int,
    _ range: ClosedRange<Float>
  ) -> Double {
    let bytes = UnsafeRawBufferPointer(data)
    let low = SIMD8<Float>(repeating: range.lowerBound)
    let high = SIMD8<Float>(repeating: range.upperBound)
    var lanes = SIMD8<Float>.zero
    var index = 0
    while index &+ 8 <= count {
      var values = unsafe bytes.loadUnaligned(fromByteOffset: (start &+ index) &* 4, as: SIMD8<Float>.self)
      values.replace(with: low, where: values .< low)
      values.replace(with: high, where: values .> high)
      lanes += values
      index &+= 8
    }
    var sum = Double(lanes.sum())
    while index < count {
      unsafe sum += Double(min(max(data[start &+ index], range.lowerBound), range.upperBound))
      index &+= 1
    }
    return sum
  }
}
