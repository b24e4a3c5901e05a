import TestSupport
import Testing

@testable import BinaryIO

private func hex(_ bytes: [UInt8]) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

@Suite struct ChecksumTests {
  @Test("CRC-32 has the published check value, in one piece or several")
  func crc() {
    let bytes = Array("123456789".utf8)
    #expect(CRC32(bytes).value == 0xCBF4_3926)
    #expect(CRC32([]).value == 0)
    for cut in 0...9 {
      let joined = CRC32(Array(bytes[..<cut])).followed(by: CRC32(Array(bytes[cut...])))
      #expect(joined.value == 0xCBF4_3926)
      #expect(joined.count == 9)
    }
  }

  @Test("SHA-256 has the digests of FIPS 180-4's examples")
  func sha() {
    #expect(
      hex(SHA256.digest([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    #expect(
      hex(SHA256.digest(Array("abc".utf8)))
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    #expect(
      hex(SHA256.digest(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8)))
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    )
  }

  @Test("SHA-256 does not depend on how its input is cut")
  func pieces() {
    let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0) }
    for cut in [0, 1, 55, 56, 63, 64, 65, 128, 200, 300] {
      var hash = SHA256()
      unsafe hash.update(bytes.span.bytes.extracting(0..<cut))
      unsafe hash.update(bytes.span.bytes.extracting(cut..<300))
      #expect(hash.finish() == SHA256.digest(bytes))
    }
  }
}
