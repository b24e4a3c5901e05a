import TestSupport
import Testing

@testable import BinaryIO

private func slice(_ bytes: [UInt8]) throws(Refusal) -> ByteSlice {
  try unsafe ByteSlice.build(count: bytes.count) { (target) throws(Refusal) in
    unsafe target.copyBytes(from: bytes)
  }
}

private func array(_ slice: ByteSlice) -> [UInt8] { unsafe slice.withUnsafeBytes { unsafe Array($0) } }

private func compressed(_ bytes: [UInt8], _ order: ByteOrder, _ strategy: Deflate.Strategy) throws -> [UInt8]
{
  var result: [UInt8] = []
  try Deflate.compress(slice(bytes), order: order, strategy: strategy) { (piece) throws(Refusal) in
    for index in 0..<piece.byteCount { result.append(piece.byte(index) ?? 0) }
    return true
  }
  return result
}

@Suite struct DeflateTests {
  @Test("what was compressed comes back, in every order and strategy")
  func roundTrip() throws {
    var random = SplitMix64(seed: 8)
    for count in [0, 4, 400, 65_536, 131_080] {
      let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.int(0...20)) }
      for order in [ByteOrder.plain, .planes(elementSize: 2), .planes(elementSize: 4)] {
        for strategy in Deflate.Strategy.allCases {
          let stream = try slice(compressed(bytes, order, strategy))
          let back = try Inflate.decompress(stream, count: count, order: order)
          #expect(back.map(array) == bytes)
          #expect(try Inflate.decompress(stream, count: count + 4, order: order) == nil)
          if count > 0 { #expect(try Inflate.decompress(stream, count: count - 4, order: order) == nil) }
        }
      }
    }
  }

  @Test("a stream that is cut, continued or changed is not accepted as the same bytes")
  func damage() throws {
    let bytes = (0..<600).map { UInt8(truncatingIfNeeded: $0 / 7) }
    let stream = try compressed(bytes, .plain, .standard)
    for count in stream.indices {
      #expect(try Inflate.decompress(slice(Array(stream[..<count])), count: 600, order: .plain) == nil)
    }
    #expect(try Inflate.decompress(slice(stream + [0]), count: 600, order: .plain) == nil)
    #expect(try Inflate.decompress(slice(stream + stream), count: 600, order: .plain) == nil)
  }

  @Test("a size that deflate cannot reach is refused before it is allocated")
  func bomb() throws {
    #expect(try Inflate.decompress(slice([0x78, 0x9C]), count: 1 << 40, order: .plain) == nil)
    #expect(Inflate.isPlausible(raw: 64, stored: 0))
    #expect(!Inflate.isPlausible(raw: 65, stored: 0))
    #expect(Inflate.isPlausible(raw: .max, stored: .max))
  }

  @Test("compression stops when its sink has enough")
  func stop() throws {
    var random = SplitMix64(seed: 9)
    let bytes = (0..<200_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    var size = 0
    let isComplete = try Deflate.compress(slice(bytes), order: .plain, strategy: .standard) {
      (piece) throws(Refusal) in
      size += piece.byteCount
      return size < 1000
    }
    #expect(!isComplete)
    #expect(size < 200_000)
  }
}
