internal import BinaryIO
private import CJPEG

/// Decodes JPEG through libjpeg-turbo: accurate integer DCT, smooth chroma upsampling, orientation tags ignored.
enum JPEGDecoder {
  static func decode(_ bytes: ByteSlice) throws(Refusal) -> Image {
    guard let handle = unsafe tjInitDecompress() else {
      throw ImageDecoder.refusal("libjpeg-turbo does not start", remedy: "free memory")
    }
    defer { unsafe tjDestroy(handle) }
    return try unsafe bytes.withUnsafeBytes { (buffer) throws(Refusal) in
      try unsafe decode(buffer, handle)
    }
  }

  private static func decode(_ buffer: UnsafeRawBufferPointer, _ handle: tjhandle) throws(Refusal) -> Image {
    let start = unsafe buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
    let count = UInt(buffer.count)
    var width: Int32 = 0
    var height: Int32 = 0
    var subsampling: Int32 = 0
    var space: Int32 = 0
    let header = unsafe tjDecompressHeader3(handle, start, count, &width, &height, &subsampling, &space)
    guard header == 0 else { throw unsafe damaged(handle) }
    try ImageDecoder.checkSize(width: Int(width), height: Int(height))
    guard space != Int32(TJCS_CMYK.rawValue), space != Int32(TJCS_YCCK.rawValue) else {
      throw Refusal(
        .unsupported,
        at: "image",
        rule: "D2",
        "is a CMYK JPEG, expected grey or colour",
        remedy: "convert it to RGB"
      )
    }
    let isGrey = space == Int32(TJCS_GRAY.rawValue)
    let format = Int32(isGrey ? TJPF_GRAY.rawValue : TJPF_RGB.rawValue)
    return try Image(width: Int(width), height: Int(height), channels: isGrey ? 1 : 3) {
      (pixels) throws(Refusal) in
      let status = unsafe pixels.withUnsafeMutableBufferPointer { target in
        unsafe tjDecompress2(
          handle,
          start,
          count,
          target.baseAddress,
          width,
          0,
          height,
          format,
          TJFLAG_LIMITSCANS
        )
      }
      guard status == 0 || isHarmless(unsafe message(handle)) else { throw unsafe damaged(handle) }
    }
  }

  /// Whether the decoder complains about bytes between the segments only, which leave every pixel intact.
  private static func isHarmless(_ message: String) -> Bool {
    message.contains("extraneous bytes before marker")
  }

  private static func message(_ handle: tjhandle) -> String {
    guard let text = unsafe tjGetErrorStr2(handle) else { return "" }
    return unsafe String(cString: text)
  }

  private static func damaged(_ handle: tjhandle) -> Refusal {
    ImageDecoder.refusal(
      "is a damaged JPEG: \(Refusal.printable(unsafe message(handle)))",
      remedy: "replace or remove the file"
    )
  }
}
