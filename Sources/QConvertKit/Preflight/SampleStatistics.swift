internal import GraphIR

/// What the samples of one input look like.
struct SampleStatistics: Sendable {
  /// Where the axes of an image-shaped input are.
  enum Layout: Hashable, Sendable {
    /// `[1, C, H, W]`
    case channelsFirst
    /// `[1, H, W, C]`
    case channelsLast
  }

  /// One sample, read.
  struct Sample {
    /// In the order of the tensor; for images `[channel, row, column]`.
    var values: [Float]
    var height = 1
    var width = 1
    /// Whether all values are finite.
    var isFinite: Bool
    /// Whether no channel varies.
    var isConstant: Bool
  }

  /// Least side of an image whose neighbouring pixels tell anything.
  static let leastSide = 8
  /// Neighbours of noise correlate less than this; those of photographs, drawings and spectrograms more.
  static let noiseBound = 0.1

  let layout: Layout?
  private(set) var channels: [RunningMoments]
  private(set) var samples = 0
  private(set) var nonFiniteSamples = 0
  private(set) var constantSamples = 0
  /// Samples whose neighbouring pixels are unrelated.
  private(set) var noiseSamples = 0
  /// Samples large enough to tell ``noiseSamples``.
  private(set) var measuredSamples = 0
  /// Whether all finite values are whole numbers.
  private(set) var areWhole = true

  /// - Parameters:
  ///   - type: The input's type; of rank 4 with 1 or 3 channels for an image.
  ///   - isImage: Whether it may be an image at all.
  init(_ type: TensorType, isImage: Bool = true) {
    let dims = type.dims.map(\.value)
    let areChannels = { (count: Int?) in count == 1 || count == 3 }
    if isImage, dims.count == 4, areChannels(dims[1]) {
      layout = .channelsFirst
    } else if isImage, dims.count == 4, areChannels(dims[3]) {
      layout = .channelsLast
    } else {
      layout = nil
    }
    let count = layout.flatMap { dims[$0 == .channelsFirst ? 1 : 3] } ?? 1
    channels = [RunningMoments](repeating: RunningMoments(), count: count)
  }

  var isImage: Bool { layout != nil }
  var minimum: Double { channels.map(\.minimum).min() ?? 0 }
  var maximum: Double { channels.map(\.maximum).max() ?? 0 }

  /// Takes a sample in.
  ///
  /// - Parameters:
  ///   - elements: The elements of the sample's tensor.
  ///   - shape: Its shape.
  mutating func add(_ elements: [Float], shape: [Int]) -> Sample {
    var sample = arranged(elements, shape)
    samples += 1
    let area = max(1, sample.values.count / max(channels.count, 1))
    var correlation: Double?
    for channel in channels.indices {
      let range = (channel * area)..<min(sample.values.count, (channel + 1) * area)
      guard !range.isEmpty else { continue }
      let moments = RunningMoments(sample.values.span.extracting(range), areWhole: &areWhole)
      if moments.hasNonFinite { sample.isFinite = false }
      if moments.maximum > moments.minimum { sample.isConstant = false }
      channels[channel].merge(moments)
      guard isImage, sample.isFinite, min(sample.height, sample.width) >= SampleStatistics.leastSide,
        let found = SampleStatistics.correlation(
          sample.values.span.extracting(range),
          width: sample.width,
          mean: moments.mean
        )
      else { continue }
      correlation = max(correlation ?? -1, found)
    }
    if !sample.isFinite { nonFiniteSamples += 1 }
    if sample.isFinite, sample.isConstant, sample.values.count > 1 { constantSamples += 1 }
    if let correlation {
      measuredSamples += 1
      if correlation < SampleStatistics.noiseBound { noiseSamples += 1 }
    }
    return sample
  }

  private func arranged(_ elements: [Float], _ shape: [Int]) -> Sample {
    guard let layout, shape.count == 4 else {
      return Sample(values: elements, isFinite: true, isConstant: true)
    }
    guard layout == .channelsLast else {
      return Sample(values: elements, height: shape[2], width: shape[3], isFinite: true, isConstant: true)
    }
    let (area, count) = (shape[1] * shape[2], shape[3])
    var values = elements
    for pixel in 0..<area {
      for channel in 0..<count { values[channel * area + pixel] = elements[pixel * count + channel] }
    }
    return Sample(values: values, height: shape[1], width: shape[2], isFinite: true, isConstant: true)
  }

  /// The larger of the correlations between horizontal and between vertical neighbours; nil without variation.
  static func correlation(_ plane: Span<Float>, width: Int, mean: Double) -> Double? {
    let average = Float(mean)
    var (square, across, down) = (0.0, 0.0, 0.0)
    let height = plane.count / width
    for row in 0..<height {
      var (rowSquare, rowAcross, rowDown): (Float, Float, Float) = (0, 0, 0)
      for column in 0..<width {
        let index = row * width + column
        let value = plane[index] - average
        rowSquare += value * value
        if column + 1 < width { rowAcross += value * (plane[index + 1] - average) }
        if row + 1 < height { rowDown += value * (plane[index + width] - average) }
      }
      square += Double(rowSquare)
      across += Double(rowAcross)
      down += Double(rowDown)
    }
    guard square > 0, square.isFinite else { return nil }
    return max(across, down) / square
  }
}

/// Mean, deviation and extremes of finite values.
struct RunningMoments: Hashable, Sendable {
  private(set) var count = 0
  private(set) var mean = 0.0
  private var squares = 0.0
  private(set) var minimum = Double.infinity
  private(set) var maximum = -Double.infinity
  private(set) var hasNonFinite = false

  init() {}

  /// - Parameter areWhole: Set to false when a value is no whole number.
  init(_ values: Span<Float>, areWhole: inout Bool) {
    var (sum, low, high) = (0.0, Float.infinity, -Float.infinity)
    var isWhole = true
    for index in values.indices {
      let value = values[index]
      guard value.isFinite else {
        hasNonFinite = true
        continue
      }
      count += 1
      sum += Double(value)
      low = min(low, value)
      high = max(high, value)
      if isWhole, value.rounded(.towardZero) != value { isWhole = false }
    }
    if !isWhole { areWhole = false }
    guard count > 0 else { return }
    mean = sum / Double(count)
    (minimum, maximum) = (Double(low), Double(high))
    for index in values.indices where values[index].isFinite {
      let distance = Double(values[index]) - mean
      squares += distance * distance
    }
  }

  var deviation: Double { count > 0 ? (squares / Double(count)).squareRoot() : 0 }

  mutating func merge(_ other: RunningMoments) {
    hasNonFinite = hasNonFinite || other.hasNonFinite
    guard other.count > 0 else { return }
    let total = count + other.count
    let shift = other.mean - mean
    squares += other.squares + shift * shift * Double(count) * Double(other.count) / Double(total)
    mean += shift * Double(other.count) / Double(total)
    count = total
    minimum = min(minimum, other.minimum)
    maximum = max(maximum, other.maximum)
  }
}
