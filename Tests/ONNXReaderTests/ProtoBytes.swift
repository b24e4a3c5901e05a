/// A protobuf message written byte by byte, so that tests can also write what no library would.
struct ProtoBytes {
  private(set) var bytes: [UInt8] = []

  init(_ bytes: [UInt8] = []) { self.bytes = bytes }

  static func varint(_ value: UInt64) -> [UInt8] {
    var result: [UInt8] = []
    var rest = value
    while rest >= 0x80 {
      result.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    return result + [UInt8(rest)]
  }

  static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<(T.bitWidth / 8)).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  /// Bytes as they are, well-formed or not.
  func raw(_ more: [UInt8]) -> ProtoBytes { ProtoBytes(bytes + more) }

  func tag(_ field: Int, _ wireType: Int) -> ProtoBytes {
    raw(ProtoBytes.varint(UInt64(field << 3 | wireType)))
  }

  func int(_ field: Int, _ value: Int) -> ProtoBytes {
    tag(field, 0).raw(ProtoBytes.varint(UInt64(bitPattern: Int64(value))))
  }

  func float(_ field: Int, _ value: Float) -> ProtoBytes {
    tag(field, 5).raw(ProtoBytes.little(value.bitPattern))
  }

  func blob(_ field: Int, _ content: [UInt8]) -> ProtoBytes {
    tag(field, 2).raw(ProtoBytes.varint(UInt64(content.count))).raw(content)
  }

  func text(_ field: Int, _ value: String) -> ProtoBytes { blob(field, Array(value.utf8)) }

  func message(_ field: Int, _ message: ProtoBytes) -> ProtoBytes { blob(field, message.bytes) }

  func messages(_ field: Int, _ list: [ProtoBytes]) -> ProtoBytes {
    list.reduce(self) { $0.message(field, $1) }
  }

  func texts(_ field: Int, _ list: [String]) -> ProtoBytes { list.reduce(self) { $0.text(field, $1) } }

  func packed(_ field: Int, _ values: [Int]) -> ProtoBytes {
    blob(field, values.flatMap { ProtoBytes.varint(UInt64(bitPattern: Int64($0))) })
  }

  func packed(_ field: Int, _ values: [Float]) -> ProtoBytes {
    blob(field, values.flatMap { ProtoBytes.little($0.bitPattern) })
  }

  func packed(_ field: Int, _ values: [Double]) -> ProtoBytes {
    blob(field, values.flatMap { ProtoBytes.little($0.bitPattern) })
  }
}
