internal import Datasets

/// A preprocessing with the flags that ask for it.
struct NamedPreprocessing: Hashable, Sendable {
  let flags: String
  let preprocessing: Preprocessing

  /// The ways in which networks are usually fed, sizes left out.
  ///
  /// - Parameters:
  ///   - declared: The preprocessing that the network's file declares; comes first.
  ///   - isImageNetSize: Whether images are 224x224 pixels, so that presets fit with their sizes.
  static func usual(declared: Preprocessing?, isImageNetSize: Bool) -> [NamedPreprocessing] {
    let imagenet =
      isImageNetSize
      ? NamedPreprocessing(flags: "--preprocess imagenet", preprocessing: .imagenet)
      : NamedPreprocessing(.imagenet)
    let mean = Preprocessing.imagenet.mean.map { $0 * 255 }
    let plain = [
      Preprocessing(scale: 255), Preprocessing(), Preprocessing(mean: [127.5], std: [127.5]),
      Preprocessing(mean: mean),
    ]
    return (declared.map { [NamedPreprocessing($0)] } ?? [])
      + [imagenet]
      + plain.map { NamedPreprocessing($0) }
  }

  init(flags: String, preprocessing: Preprocessing) {
    self.flags = flags
    self.preprocessing = preprocessing
  }

  init(_ preprocessing: Preprocessing) {
    self.preprocessing = preprocessing
    var bare = preprocessing
    bare.resize = nil
    bare.crop = nil
    let parts = bare.description.split(separator: " ").filter { part in
      part != "channels=rgb" && (part != "scale=1" || bare.mean.isEmpty && bare.std.isEmpty)
    }
    flags = parts.map { part in
      "--" + part.split(separator: "=", maxSplits: 1).joined(separator: " ")
    }.joined(separator: " ")
  }
}

extension InputTransform {
  /// Whether both give about the same numbers for pixels: scales within 5 %, shifts within 0.1 of the larger deviation.
  func isClose(to other: InputTransform) -> Bool {
    guard order == other.order else { return false }
    return scale.indices.allSatisfy { channel in
      let unit = 64 * max(abs(scale[channel]), abs(other.scale[channel]))
      return abs(scale[channel] - other.scale[channel]) <= 0.05 * abs(other.scale[channel])
        && abs(shift[channel] - other.shift[channel]) <= 0.1 * unit
    }
  }

  /// The least and the greatest value that pixels 0...255 become.
  var extent: ClosedRange<Double> {
    let ends = scale.indices.flatMap { [shift[$0], 255 * scale[$0] + shift[$0]] }
    return (ends.min() ?? 0)...(ends.max() ?? 0)
  }

  /// What arrays of pixels most likely went through, from the range of their values; nil where nothing fits.
  ///
  /// - Parameters:
  ///   - statistics: Of the arrays.
  ///   - declared: The preprocessing that the network's file declares.
  static func guess(_ statistics: SampleStatistics, declared: Preprocessing?) -> InputTransform? {
    let channels = statistics.channels.count
    let (low, high) = (statistics.minimum, statistics.maximum)
    guard statistics.isImage, low <= high else { return nil }
    if statistics.areWhole, low >= 0, high <= 255, high > 1 { return InputTransform(channels: channels) }
    let symmetric = Preprocessing(mean: [127.5], std: [127.5])
    let candidates = (declared.map { [$0] } ?? []) + [Preprocessing(scale: 255), symmetric, .imagenet]
    return candidates.lazy.map { InputTransform($0, channels: channels) }.first { candidate in
      let extent = candidate.extent
      let slack = 0.01 * (extent.upperBound - extent.lowerBound)
      return low >= extent.lowerBound - slack && high <= extent.upperBound + slack
    }
  }
}
