/// A checked cursor over bytes: a read past the end returns nil instead of trapping.
///
/// All multi-byte integers are little-endian.
public struct ByteReader: ~Escapable {
  public let bytes: RawSpan
  public private(set) var offset: Int

  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) {
    self.bytes = bytes
    offset = 0
  }

  /// Bytes not read yet.
  public var remaining: Int { bytes.byteCount - offset }

  /// The next integer, or nil at the end.
  @_lifetime(self: copy self)
  public mutating func read<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type = T.self) -> T? {
    let size = MemoryLayout<T>.size
    guard remaining >= size else { return nil }
    let value = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: T.self)
    offset += size
    return T(littleEndian: value)
  }

  /// The range of the next `count` bytes, which are skipped; nil if there are fewer.
  @_lifetime(self: copy self)
  public mutating func skip(_ count: Int) -> Range<Int>? {
    guard count >= 0, count <= remaining else { return nil }
    defer { offset += count }
    return offset..<(offset + count)
  }

  /// The next `count` bytes as UTF-8 text; nil if there are fewer or they are not UTF-8.
  @_lifetime(self: copy self)
  public mutating func readText(_ count: Int) -> String? {
    guard let range = skip(count) else { return nil }
    return bytes.text(range)
  }
}

extension RawSpan {
  /// The bytes of `range` as text, or nil if they are not valid UTF-8 or outside of the span.
  public func text(_ range: Range<Int>) -> String? {
    guard range.lowerBound >= 0, range.upperBound <= byteCount else { return nil }
    return unsafe extracting(range).withUnsafeBytes { unsafe String(validating: $0, as: UTF8.self) }
  }

  /// The byte at `offset`; nil outside of the span.
  public func byte(_ offset: Int) -> UInt8? {
    guard offset >= 0, offset < byteCount else { return nil }
    return unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }
}
