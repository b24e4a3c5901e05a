internal import CZlib

/// Decompression of a zlib stream of known size, which takes nothing else from the stream's word.
public enum Inflate {
  /// The largest raw size that `stored` bytes can honestly have: deflate does not exceed 1032 to 1.
  public static func isPlausible(raw: Int, stored: Int) -> Bool {
    guard let most = Checked.product(stored, 1040), let bound = Checked.sum(most, 64) else { return true }
    return raw <= bound
  }

  /// Decompresses a whole stream.
  ///
  /// - Parameters:
  ///   - stored: Exactly one stream.
  ///   - count: The raw size, exactly.
  ///   - order: How the raw bytes were reordered before compression.
  ///   - allocator: Where the raw bytes live.
  /// - Returns: The raw bytes, or nil when the stream is malformed, has another size or is followed by bytes.
  /// - Throws: A refusal when memory runs out.
  public static func decompress(
    _ stored: ByteSlice,
    count: Int,
    order: ByteOrder,
    in allocator: StorageAllocator = .heap
  ) throws(Refusal) -> ByteSlice? {
    guard count >= 0, isPlausible(raw: count, stored: stored.count) else { return nil }
    var isExact = false
    let bytes = try unsafe ByteSlice.build(count: count, in: allocator) { (raw) throws(Refusal) in
      isExact = try unsafe stored.withUnsafeBytes { (source) throws(Refusal) in
        try unsafe inflateAll(source, into: raw, order)
      }
    }
    return isExact ? bytes : nil
  }

  private static func inflateAll(
    _ source: UnsafeRawBufferPointer,
    into raw: UnsafeMutableRawBufferPointer,
    _ order: ByteOrder
  ) throws(Refusal) -> Bool {
    var stream = unsafe z_stream()
    let size = unsafe Int32(MemoryLayout<z_stream>.size)
    guard unsafe inflateInit2_(&stream, 15, ZLIB_VERSION, size) == Z_OK else { throw Deflate.outOfMemory }
    defer { unsafe inflateEnd(&stream) }
    var chunk = [UInt8](repeating: 0, count: Deflate.chunk)
    var consumed = 0
    var produced = 0
    var status = Z_OK
    while status == Z_OK {
      // One byte of room beyond the expected size shows a stream that is too long.
      let room = min(chunk.count, raw.count - produced + 1)
      let given = min(source.count - consumed, Int(Int32.max))
      let (left, free) = unsafe chunk.withUnsafeMutableBufferPointer { target in
        let start = unsafe source.baseAddress.map { unsafe $0 + consumed }
        unsafe stream.next_in = UnsafeMutableRawPointer(mutating: start)?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.avail_in = UInt32(given)
        unsafe stream.next_out = target.baseAddress
        unsafe stream.avail_out = UInt32(room)
        status = unsafe inflate(&stream, Z_NO_FLUSH)
        return unsafe (Int(stream.avail_in), Int(stream.avail_out))
      }
      consumed += given - left
      let fresh = room - free
      guard fresh <= raw.count - produced else { return false }
      unsafe chunk.withUnsafeBytes {
        unsafe order.scatter(
          UnsafeRawBufferPointer(rebasing: $0[..<fresh]),
          produced..<(produced + fresh),
          into: raw
        )
      }
      produced += fresh
    }
    return status == Z_STREAM_END && produced == raw.count && consumed == source.count
  }
}
