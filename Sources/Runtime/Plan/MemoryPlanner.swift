/// Places blocks with lifetimes in one arena so that blocks alive at the same time do not overlap.
///
/// Blocks are placed from the largest to the smallest, each at the lowest free offset: within a few per cent of the
/// most bytes alive at one time for the networks this is made for.
struct MemoryPlanner {
  /// A block to place.
  struct Block {
    var bytes: Int
    /// First and last time at which it is needed.
    var lifetime: ClosedRange<Int>
  }

  private static let alignment = 64

  /// - Returns: One offset per block, a multiple of 64, and the size of the arena.
  static func place(_ blocks: [Block]) -> (offsets: [Int], size: Int) {
    var offsets = [Int](repeating: 0, count: blocks.count)
    var size = 0
    var placed: [Int] = []
    let order = blocks.indices.sorted { (blocks[$1].bytes, $0) < (blocks[$0].bytes, $1) }
    for index in order {
      let bytes = rounded(blocks[index].bytes)
      let neighbours = placed.filter { blocks[$0].lifetime.overlaps(blocks[index].lifetime) }
        .sorted { (offsets[$0], $0) < (offsets[$1], $1) }
      var offset = 0
      for other in neighbours {
        if offset + bytes <= offsets[other] { break }
        offset = max(offset, offsets[other] + rounded(blocks[other].bytes))
      }
      offsets[index] = offset
      size = max(size, offset + bytes)
      placed.append(index)
    }
    return (offsets, size)
  }

  /// A multiple of 64 with room for reads past the end.
  private static func rounded(_ bytes: Int) -> Int { (bytes + alignment - 1) / alignment * alignment }
}
