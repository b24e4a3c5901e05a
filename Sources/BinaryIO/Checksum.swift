internal import CZlib

/// CRC-32 as zlib and PNG have it, over any number of pieces.
public struct CRC32: Hashable, Sendable {
  public private(set) var value: UInt32 = 0
  /// Bytes seen.
  public private(set) var count = 0

  public init() {}

  /// The checksum of the given bytes.
  public init(_ bytes: [UInt8]) {
    self.init()
    unsafe update(bytes.span.bytes)
  }

  /// The checksum of the given bytes.
  public init(_ bytes: ByteSlice) {
    self.init()
    bytes.withBytes { update($0) }
  }

  /// Continues over more bytes.
  public mutating func update(_ bytes: RawSpan) {
    value = unsafe bytes.withUnsafeBytes { raw in
      UInt32(
        truncatingIfNeeded: unsafe crc32_z(
          UInt(value),
          raw.baseAddress?.assumingMemoryBound(to: UInt8.self),
          raw.count
        )
      )
    }
    count += bytes.byteCount
  }

  /// The checksum of these bytes followed by those of `next`, which are not needed again.
  public func followed(by next: CRC32) -> CRC32 {
    var result = next
    result.value = UInt32(truncatingIfNeeded: crc32_combine(UInt(value), UInt(next.value), next.count))
    result.count = count + next.count
    return result
  }
}
