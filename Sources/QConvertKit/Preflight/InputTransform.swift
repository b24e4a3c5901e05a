internal import Datasets

/// An affine change of the channels of an image, with a permutation: `y[c] = scale[c] · x[order[c]] + shift[c]`.
struct InputTransform: Hashable, Sendable {
  var scale: [Double]
  var shift: [Double]
  /// The channel that each channel comes from.
  var order: [Int]

  init(scale: [Double], shift: [Double], order: [Int]) {
    self.scale = scale
    self.shift = shift
    self.order = order
  }

  /// No change, or the same change of every channel.
  init(channels: Int, scale: Double = 1, shift: Double = 0) {
    self.scale = [Double](repeating: scale, count: channels)
    self.shift = [Double](repeating: shift, count: channels)
    order = Array(0..<channels)
  }

  /// What a preprocessing does to pixels 0...255 in the order red, green, blue.
  ///
  /// - Parameter channels: 1, or 3.
  init(_ preprocessing: Preprocessing, channels: Int) {
    self.init(channels: channels)
    for channel in 0..<channels {
      let source = preprocessing.channels == .bgr ? channels - 1 - channel : channel
      func value(_ values: [Float], or standard: Double) -> Double {
        guard let last = values.last else { return standard }
        guard channels > 1 || values.count == 1 else {
          return values.reduce(0) { $0 + Double($1) } / Double(values.count)
        }
        return Double(source < values.count ? values[source] : last)
      }
      let deviation = value(preprocessing.std, or: 1)
      scale[channel] = 1 / (Double(preprocessing.scale) * deviation)
      shift[channel] = -value(preprocessing.mean, or: 0) / deviation
      order[channel] = source
    }
  }

  /// The same with the channels of the result in reverse, each changed as its source was.
  var reversed: InputTransform {
    InputTransform(scale: scale.reversed(), shift: shift.reversed(), order: order.reversed())
  }

  /// What takes the results of `other` to those of this transform, both being applied to the same pixels.
  func following(_ other: InputTransform) -> InputTransform {
    var result = self
    for channel in scale.indices {
      guard let source = other.order.firstIndex(of: order[channel]) else { continue }
      let factor = scale[channel] / other.scale[source]
      result.order[channel] = source
      result.scale[channel] = factor
      result.shift[channel] = shift[channel] - factor * other.shift[source]
    }
    return result
  }

  /// This transform after `first`.
  func after(_ first: InputTransform) -> InputTransform {
    var result = self
    for channel in scale.indices {
      let source = order[channel]
      result.order[channel] = first.order[source]
      result.scale[channel] = scale[channel] * first.scale[source]
      result.shift[channel] = scale[channel] * first.shift[source] + shift[channel]
    }
    return result
  }
}
