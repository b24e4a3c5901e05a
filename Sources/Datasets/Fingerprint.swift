internal import BinaryIO

/// A 64-bit hash that is the same on every machine and in every version; against mix-ups, not against attackers.
struct Fingerprint {
  private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

  mutating func add(_ word: UInt64) {
    state = (state ^ word) &* 0xFF51_AFD7_ED55_8CCD
    state ^= state >> 32
  }

  mutating func add(_ number: Int) { add(UInt64(bitPattern: Int64(number))) }

  mutating func add(_ text: String) {
    add(text.utf8.count)
    for byte in text.utf8 { add(UInt64(byte)) }
  }

  mutating func add(_ bytes: ByteSlice) {
    add(bytes.count)
    bytes.withBytes { span in
      var reader = ByteReader(span)
      while let word = reader.read(UInt64.self) { add(word) }
      while let byte = reader.read(UInt8.self) { add(UInt64(byte)) }
    }
  }

  /// 16 hexadecimal digits.
  var text: String {
    let digits = String(state, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
