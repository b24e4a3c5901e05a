internal import BinaryIO
private import CPNG

/// Decodes PNG of every colour type and depth to 8 bits a sample through libpng; alpha is dropped, not blended.
///
/// Samples are taken as sRGB; a file with another gamma is converted to it. 16-bit samples are rounded to 8.
enum PNGDecoder {
  /// Deflate shrinks by less than this, so that a small file cannot ask for a large image.
  private static let largestRatio = 1040

  static func decode(_ bytes: ByteSlice) throws(Refusal) -> Image {
    var control = unsafe png_image()
    unsafe control.version = png_uint_32(PNG_IMAGE_VERSION)
    defer { unsafe png_image_free(&control) }
    return try unsafe bytes.withUnsafeBytes { (buffer) throws(Refusal) in
      guard unsafe png_image_begin_read_from_memory(&control, buffer.baseAddress, buffer.count) != 0 else {
        throw unsafe damaged(control)
      }
      let width = unsafe Int(control.width)
      let height = unsafe Int(control.height)
      try ImageDecoder.checkSize(width: width, height: height)
      guard width * height / 8 <= bytes.count * largestRatio else {
        throw ImageDecoder.refusal(
          "has \(bytes.count) bytes, too few for \(width) x \(height) pixels",
          remedy: "replace or remove the file"
        )
      }
      return try unsafe read(&control, width: width, height: height)
    }
  }

  private static func read(
    _ control: inout png_image,
    width: Int,
    height: Int
  ) throws(Refusal) -> Image {
    let color = png_uint_32(PNG_FORMAT_FLAG_COLOR)
    let alpha = png_uint_32(PNG_FORMAT_FLAG_ALPHA)
    unsafe control.flags |= png_uint_32(PNG_IMAGE_FLAG_16BIT_sRGB)
    unsafe control.format &= color | alpha
    let channels = unsafe control.format & color != 0 ? 3 : 1
    let stored = unsafe channels + (control.format & alpha != 0 ? 1 : 0)
    var samples = [UInt8](repeating: 0, count: width * height * stored)
    let done = unsafe samples.withUnsafeMutableBytes { target in
      unsafe png_image_finish_read(&control, nil, target.baseAddress, 0, nil)
    }
    guard done != 0 else { throw unsafe damaged(control) }
    guard stored > channels else {
      return Image(width: width, height: height, channels: channels, pixels: samples)
    }
    return try Image(width: width, height: height, channels: channels) { (pixels) throws(Refusal) in
      for pixel in 0..<(width * height) {
        for channel in 0..<channels { pixels[pixel * channels + channel] = samples[pixel * stored + channel] }
      }
    }
  }

  private static func damaged(_ control: png_image) -> Refusal {
    let message = unsafe withUnsafeBytes(of: control.message) { buffer in
      unsafe String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
    }
    return ImageDecoder.refusal(
      "is a damaged PNG: \(Refusal.printable(message))",
      remedy: "replace or remove the file"
    )
  }
}
