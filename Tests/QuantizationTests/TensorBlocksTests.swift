import BinaryIO
import GraphIR
import Quantization
import Testing

@Suite("Tensor blocks")
struct TensorBlocksTests {
  @Test("all elements are shown once, in order, aligned or not, across block borders")
  func blocks() throws {
    let count = 3 << 20
    for shift in [0, 1, 4] {
      let bytes = try unsafe ByteSlice.build(count: count * 4 + 8) { (raw) in
        for index in 0..<count {
          unsafe raw.storeBytes(of: UInt32(index), toByteOffset: shift + index * 4, as: UInt32.self)
        }
      }
      let slice = try #require(bytes.slice(shift..<(shift + count * 4)))
      let tensor = try #require(Tensor(.uint32, [count], bytes: slice))
      var next = 0
      var isInOrder = true
      unsafe tensor.forEachBlock(of: UInt32.self) { (block, start) in
        let (first, last) = unsafe (block[0], block[block.count - 1])
        isInOrder = isInOrder && start == next && first == UInt32(start)
        next += block.count
        isInOrder = isInOrder && last == UInt32(next - 1)
      }
      #expect(isInOrder)
      #expect(next == count)
    }
  }

  @Test("an empty tensor has no blocks")
  func empty() throws {
    var calls = 0
    unsafe try Tensor.floats([]).forEachBlock(of: Float.self) { (_, _) in calls += 1 }
    #expect(calls == 0)
  }

  @Test("runs end where the channel changes, or with the row")
  func runs() throws {
    let tensor = try Tensor.floats([Float](repeating: 0, count: 12), [2, 3, 2])
    var runs: [String] = []
    let middle = try #require(ChannelLayout(tensor, axis: 1))
    middle.forEachRun(in: 1..<9) { (range, row, channel) in runs.append("\(range) \(row) \(channel)") }
    #expect(runs == ["1..<2 0 0", "2..<4 0 1", "4..<6 0 2", "6..<8 1 0", "8..<9 1 1"])
    runs = []
    let last = try #require(ChannelLayout(tensor, axis: 2))
    last.forEachRun(in: 1..<5) { (range, row, channel) in runs.append("\(range) \(row) \(channel)") }
    #expect(runs == ["1..<2 0 1", "2..<4 1 0", "4..<5 2 0"])
  }
}
