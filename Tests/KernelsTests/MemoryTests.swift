import Testing

@testable import Kernels

@Suite("memory")
struct MemoryTests {
  @Test(
    "blocks of every kind are aligned, zero, and writable to their end",
    arguments: [0, 1, 4096, 1 << 18, (1 << 18) + 1, (1 << 21) - 1, 1 << 21, (1 << 22) + 4097]
  )
  func blocks(count: Int) throws {
    var kept: [Memory] = []
    for _ in 0..<3 {
      let memory = try #require(Memory(count: count))
      let bytes = unsafe memory.buffer.elements(count, of: UInt8.self)
      #expect(Int(bitPattern: bytes) % 64 == 0)
      #expect(unsafe UnsafeBufferPointer(start: bytes, count: count).allSatisfy { $0 == 0 })
      if count > 0 {
        unsafe bytes[0] = 1
        unsafe bytes[count - 1] = 2
      }
      kept.append(memory)
    }
    #expect(kept.allSatisfy { $0.count == count })
  }
}
