/// Writes the fields of a protobuf message in the order they are given, so that equal messages have equal bytes.
package struct ProtoWriter {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  private mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  package mutating func field(_ number: Int, _ value: Int) {
    varint(UInt64(number << 3))
    varint(UInt64(bitPattern: Int64(value)))
  }

  package mutating func field(_ number: Int, signed value: Int) {
    varint(UInt64(number << 3))
    varint(ProtoWriter.zigzag(value))
  }

  package mutating func field(_ number: Int, fixed32 value: UInt32) {
    varint(UInt64(number << 3 | 5))
    append(value)
  }

  package mutating func field(_ number: Int, _ content: some Collection<UInt8>) {
    header(number, byteCount: content.count)
    bytes.append(contentsOf: content)
  }

  /// What stands before the content of a message, text or list of so many bytes.
  package mutating func header(_ number: Int, byteCount: Int) {
    varint(UInt64(number << 3 | 2))
    varint(UInt64(byteCount))
  }

  package mutating func field(_ number: Int, _ text: String) { field(number, text.utf8) }

  package mutating func field(_ number: Int, _ message: ProtoWriter) { field(number, message.bytes) }

  /// A packed list; nothing when empty.
  package mutating func field(_ number: Int, packed values: [Int]) {
    guard !values.isEmpty else { return }
    var list = ProtoWriter()
    for value in values { list.varint(UInt64(bitPattern: Int64(value))) }
    field(number, list)
  }

  package mutating func field(_ number: Int, packedSigned values: [Int]) {
    guard !values.isEmpty else { return }
    var list = ProtoWriter()
    for value in values { list.varint(ProtoWriter.zigzag(value)) }
    field(number, list)
  }

  package mutating func field(_ number: Int, packedFixed32 values: [UInt32]) {
    guard !values.isEmpty else { return }
    var list = ProtoWriter()
    for value in values { list.append(value) }
    field(number, list)
  }

  private mutating func append(_ value: UInt32) {
    for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  private static func zigzag(_ value: Int) -> UInt64 {
    UInt64(bitPattern: Int64((value << 1) ^ (value >> 63)))
  }
}
