/// Resizes 8-bit images with the triangle filter, to the same pixels as Pillow's `BILINEAR`.
///
/// Two passes, along the rows and then along the columns, each rounded to 8 bits. (Pillow 13 turns the order round where
/// the height shrinks far more than the width, and is within one level then.) The weight of source sample `i` for output `o` is
/// `max(0, 1 - |(i + 0.5 - c) / s|)` with `c = (o + 0.5) * ratio`, `s = max(1, ratio)`, `ratio = in / out`, over the
/// samples within `s` of `c`, normalised to a sum of 1 and held with 22 fractional bits.
enum ImageResizer {
  private static let fractionBits = 22

  static func resize(_ image: Image, height: Int, width: Int) -> Image {
    let wide = width == image.width ? image : resizeColumns(of: image, to: width)
    return height == wide.height ? wide : resizeRows(of: wide, to: height)
  }

  /// The weights of the source samples `start...` for one output sample.
  private struct Taps {
    var start: Int
    var weights: [Int32]
  }

  private static func taps(from inputs: Int, to outputs: Int) -> [Taps] {
    let ratio = Double(inputs) / Double(outputs)
    let support = max(1, ratio)
    return (0..<outputs).map { output in
      let center = (Double(output) + 0.5) * ratio
      let start = max(0, Int(center - support + 0.5))
      let end = min(inputs, Int(center + support + 0.5))
      let raw = (start..<end).map { max(0, 1 - abs((Double($0) - center + 0.5) * (1 / support))) }
      let sum = raw.reduce(0, +)
      let unit = Double(1 << fractionBits)
      return Taps(start: start, weights: raw.map { Int32(0.5 + (sum == 0 ? $0 : $0 / sum) * unit) })
    }
  }

  private static func rounded(_ sum: Int32) -> UInt8 {
    UInt8(truncatingIfNeeded: max(0, min(255, (sum &+ (1 << (fractionBits - 1))) >> fractionBits)))
  }

  private static func resizeColumns(of image: Image, to width: Int) -> Image {
    let taps = taps(from: image.width, to: width)
    let channels = image.channels
    let source = image.pixels.span
    var result = [UInt8](repeating: 0, count: image.height * width * channels)
    var target = result.mutableSpan
    for row in 0..<image.height {
      let rowStart = row * image.width
      for (column, tap) in taps.enumerated() {
        let weights = tap.weights.span
        for channel in 0..<channels {
          var sum: Int32 = 0
          var offset = (rowStart + tap.start) * channels + channel
          for index in weights.indices {
            sum &+= Int32(source[offset]) &* weights[index]
            offset += channels
          }
          target[(row * width + column) * channels + channel] = rounded(sum)
        }
      }
    }
    return Image(width: width, height: image.height, channels: channels, pixels: result)
  }

  private static func resizeRows(of image: Image, to height: Int) -> Image {
    let taps = taps(from: image.height, to: height)
    let rowSize = image.width * image.channels
    let source = image.pixels.span
    var result = [UInt8](repeating: 0, count: height * rowSize)
    var target = result.mutableSpan
    var sums = [Int32](repeating: 0, count: rowSize)
    var accumulator = sums.mutableSpan
    for (row, tap) in taps.enumerated() {
      for column in 0..<rowSize { accumulator[column] = 0 }
      for (index, weight) in tap.weights.enumerated() {
        let start = (tap.start + index) * rowSize
        for column in 0..<rowSize { accumulator[column] &+= Int32(source[start + column]) &* weight }
      }
      for column in 0..<rowSize { target[row * rowSize + column] = rounded(accumulator[column]) }
    }
    return Image(width: image.width, height: height, channels: image.channels, pixels: result)
  }
}
