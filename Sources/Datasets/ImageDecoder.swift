package import BinaryIO

/// Decodes JPEG and PNG, recognised by their first bytes.
package enum ImageDecoder {
  /// Decodes the file at `path`.
  ///
  /// - Throws: A refusal that names the file when it is no JPEG or PNG image, is damaged, or is too large.
  package static func decode(file path: String) throws(Refusal) -> Image {
    let bytes = try MappedFile.open(path, maximum: 1 << 32)
    do { return try decode(bytes) } catch { throw error.inFile(path) }
  }

  package static func decode(_ bytes: ByteSlice) throws(Refusal) -> Image {
    let head = bytes.withBytes { span in (0..<min(8, span.byteCount)).compactMap { span.byte($0) } }
    if head.starts(with: [0xFF, 0xD8, 0xFF]) { return try JPEGDecoder.decode(bytes) }
    if head == [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] { return try PNGDecoder.decode(bytes) }
    throw refusal("does not begin as a JPEG or PNG file does", remedy: "convert it to JPEG or PNG")
  }

  /// Refuses sizes beyond the limits before anything of that size is allocated.
  static func checkSize(width: Int, height: Int) throws(Refusal) {
    guard width > 0, height > 0, width <= Image.maximumSide, height <= Image.maximumSide,
      width * height <= Image.maximumPixels
    else {
      throw Refusal(
        .limit,
        at: "image",
        rule: "D3",
        "is \(width) pixels wide and \(height) high, at most \(Image.maximumPixels) pixels are decoded",
        remedy: "scale the image down"
      )
    }
  }

  static func refusal(_ problem: String, remedy: String) -> Refusal {
    Refusal(.invalid, at: "image", rule: "D2", problem, remedy: remedy)
  }
}
