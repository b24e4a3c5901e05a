import BinaryIO

/// What the scanner hands to libprotobuf-c: the file without unknown fields and without large payloads.
struct Skeleton {
  /// A payload that stayed in the file.
  struct Lifted {
    let range: Range<Int>
    let payload: Payload
  }

  /// Field of `TensorProto` that holds the index of a lifted payload (`lifted` in `schemas/onnx.proto`).
  static let liftedField = 1_000

  private(set) var bytes: [UInt8] = []
  private(set) var lifted: [Lifted] = []

  /// Opens a message; its length is filled in by ``close(_:)``.
  ///
  /// The length takes five bytes whatever its value, so that closing never moves what was written.
  mutating func open(field: UInt32) -> Int {
    append(varint: UInt64(field) << 3 | 2)
    bytes.append(contentsOf: repeatElement(0, count: 5))
    return bytes.count
  }

  /// Closes the message whose content starts at `start`.
  mutating func close(_ start: Int) {
    var length = UInt32(truncatingIfNeeded: bytes.count - start)
    for index in (start - 5)..<(start - 1) {
      bytes[index] = UInt8(length & 0x7F) | 0x80
      length >>= 7
    }
    bytes[start - 1] = UInt8(length)
  }

  /// Appends a field's tag and the bytes after it as they stand in the file.
  mutating func copy(tag: UInt64, _ range: Range<Int>, of file: RawSpan) {
    append(varint: tag)
    unsafe file.extracting(range).withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
  }

  /// Leaves a payload in the file and notes its index in the open tensor.
  mutating func lift(_ range: Range<Int>, _ payload: Payload) {
    append(varint: UInt64(Skeleton.liftedField) << 3)
    append(varint: UInt64(lifted.count))
    lifted.append(Lifted(range: range, payload: payload))
  }

  private mutating func append(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}
