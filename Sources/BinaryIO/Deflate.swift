internal import CZlib

/// Bytes in the order in which a compressor sees them.
public enum ByteOrder: Hashable, Sendable {
  case plain
  /// Byte 0 of every element, then byte 1 of every element, and so on; the count is a multiple of `elementSize`.
  case planes(elementSize: Int)

  /// The bytes `range` of the reordered form of `raw`.
  func gather(_ raw: UnsafeRawBufferPointer, _ range: Range<Int>, into target: UnsafeMutableRawBufferPointer)
  {
    switch self {
    case .plain:
      unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: raw[range]))
    case .planes(let size):
      let elements = raw.count / size
      var (plane, element) = range.lowerBound.quotientAndRemainder(dividingBy: max(elements, 1))
      for index in 0..<range.count {
        unsafe target[index] = raw[element * size + plane]
        element += 1
        if element == elements { (plane, element) = (plane + 1, 0) }
      }
    }
  }

  /// Puts bytes `range` of the reordered form to their places in `raw`.
  func scatter(_ source: UnsafeRawBufferPointer, _ range: Range<Int>, into raw: UnsafeMutableRawBufferPointer)
  {
    switch self {
    case .plain:
      unsafe UnsafeMutableRawBufferPointer(rebasing: raw[range]).copyMemory(from: source)
    case .planes(let size):
      let elements = raw.count / size
      var (plane, element) = range.lowerBound.quotientAndRemainder(dividingBy: max(elements, 1))
      for index in 0..<range.count {
        unsafe raw[element * size + plane] = source[index]
        element += 1
        if element == elements { (plane, element) = (plane + 1, 0) }
      }
    }
  }
}

/// Compression into a zlib stream (RFC 1950), with 128 KiB of working memory whatever the input's size.
public enum Deflate {
  /// How matches are looked for.
  public enum Strategy: Hashable, Sendable, CaseIterable {
    /// Matches and Huffman codes.
    case standard
    /// Huffman codes only, which suits quantized weights.
    case huffmanOnly

    var code: Int32 {
      switch self {
      case .standard: Z_DEFAULT_STRATEGY
      case .huffmanOnly: Z_HUFFMAN_ONLY
      }
    }
  }

  /// Compresses `bytes`, handing consecutive pieces of the stream to `sink`.
  ///
  /// - Parameters:
  ///   - bytes: What to compress.
  ///   - order: How it is reordered first.
  ///   - strategy: How matches are looked for.
  ///   - sink: Takes the pieces; false stops early.
  /// - Returns: Whether the stream is complete.
  /// - Throws: A refusal when memory runs out, or what `sink` throws.
  @discardableResult
  public static func compress(
    _ bytes: ByteSlice,
    order: ByteOrder,
    strategy: Strategy,
    to sink: (RawSpan) throws(Refusal) -> Bool
  ) throws(Refusal) -> Bool {
    var stream = unsafe z_stream()
    let version = ZLIB_VERSION
    let started = unsafe deflateInit2_(
      &stream,
      Z_DEFAULT_COMPRESSION,
      Z_DEFLATED,
      15,
      8,
      strategy.code,
      version,
      Int32(MemoryLayout<z_stream>.size)
    )
    guard started == Z_OK else { throw outOfMemory }
    defer { unsafe deflateEnd(&stream) }
    var input = [UInt8](repeating: 0, count: chunk)
    var output = [UInt8](repeating: 0, count: chunk)
    var offset = 0
    repeat {
      let range = offset..<min(offset + chunk, bytes.count)
      offset = range.upperBound
      unsafe input.withUnsafeMutableBytes { target in
        unsafe bytes.withUnsafeBytes {
          unsafe order.gather(
            $0,
            range,
            into: UnsafeMutableRawBufferPointer(rebasing: target[..<range.count])
          )
        }
      }
      let flush = offset == bytes.count ? Z_FINISH : Z_NO_FLUSH
      guard try unsafe push(&stream, &input, range.count, &output, flush, sink) else { return false }
    } while offset < bytes.count
    return true
  }

  private static func push(
    _ stream: inout z_stream,
    _ input: inout [UInt8],
    _ count: Int,
    _ output: inout [UInt8],
    _ flush: Int32,
    _ sink: (RawSpan) throws(Refusal) -> Bool
  ) throws(Refusal) -> Bool {
    try unsafe input.withUnsafeMutableBufferPointer { (source) throws(Refusal) in
      unsafe stream.next_in = source.baseAddress
      unsafe stream.avail_in = UInt32(count)
      var isFull = true
      while isFull {
        let produced = unsafe output.withUnsafeMutableBufferPointer { target in
          unsafe stream.next_out = target.baseAddress
          unsafe stream.avail_out = UInt32(target.count)
          _ = unsafe deflate(&stream, flush)
          return unsafe target.count - Int(stream.avail_out)
        }
        isFull = produced == output.count
        guard try unsafe sink(output.span.bytes.extracting(0..<produced)) else { return false }
      }
      return true
    }
  }

  static let chunk = 1 << 16

  static var outOfMemory: Refusal {
    Refusal(
      .limit,
      at: "compression",
      rule: "L11",
      "the system has no memory left",
      remedy: "free memory or use a machine with more"
    )
  }
}
