internal import BinaryIO

/// An image in memory: rows of interleaved 8-bit samples, red, green, blue or grey.
package struct Image: Hashable, Sendable {
  package let width: Int
  package let height: Int
  /// 1 for grey, 3 for colour.
  package let channels: Int
  /// `height * width * channels` samples.
  package let pixels: [UInt8]

  /// Largest image that is decoded, in pixels.
  package static let maximumPixels = 1 << 28
  /// Longest side of an image, in pixels.
  package static let maximumSide = 1 << 20

  package init(width: Int, height: Int, channels: Int, pixels: [UInt8]) {
    precondition(pixels.count == width * height * channels)
    self.width = width
    self.height = height
    self.channels = channels
    self.pixels = pixels
  }

  /// The samples of a new image, written by `fill` into a buffer of zeros.
  init(
    width: Int,
    height: Int,
    channels: Int,
    _ fill: (inout MutableSpan<UInt8>) throws(Refusal) -> Void
  ) throws(Refusal) {
    self.width = width
    self.height = height
    self.channels = channels
    var samples = [UInt8](repeating: 0, count: width * height * channels)
    var span = samples.mutableSpan
    try fill(&span)
    pixels = samples
  }

  /// The image with three channels, grey ones repeated.
  package var colour: Image {
    guard channels == 1 else { return self }
    return Image(width: width, height: height, channels: 3, pixels: pixels.flatMap { [$0, $0, $0] })
  }

  /// The image with one channel: ITU-R BT.601 luma in 16-bit fixed point, rounded to nearest, as Pillow computes it.
  package var grey: Image {
    guard channels == 3 else { return self }
    var luma = [UInt8](repeating: 0, count: width * height)
    for index in luma.indices {
      let red = UInt32(pixels[index * 3])
      let green = UInt32(pixels[index * 3 + 1])
      let blue = UInt32(pixels[index * 3 + 2])
      luma[index] = UInt8((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16)
    }
    return Image(width: width, height: height, channels: 1, pixels: luma)
  }

  /// The window of the given size whose top left corner is at (`left`, `top`), all of it inside of the image.
  func cropped(top: Int, left: Int, height newHeight: Int, width newWidth: Int) -> Image {
    guard newHeight != height || newWidth != width else { return self }
    var window: [UInt8] = []
    window.reserveCapacity(newHeight * newWidth * channels)
    for row in top..<(top + newHeight) {
      let start = (row * width + left) * channels
      window.append(contentsOf: pixels[start..<(start + newWidth * channels)])
    }
    return Image(width: newWidth, height: newHeight, channels: channels, pixels: window)
  }
}
