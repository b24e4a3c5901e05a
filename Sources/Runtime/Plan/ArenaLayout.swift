/// Where each slot lives in the arena.
struct ArenaLayout {
  /// Per slot; 0 for slots that no operation writes.
  private(set) var offsets: [Int]
  private(set) var size = 0

  /// Slots that take the place of an operand share its block.
  init(_ slots: [Slot], _ operations: [Operation], inputs: [SlotID], outputs: [SlotID]) {
    offsets = [Int](repeating: 0, count: slots.count)
    var first = [Int?](repeating: nil, count: slots.count)
    var last = [Int](repeating: -1, count: slots.count)
    for slot in inputs { first[slot.index] = 0 }
    for (time, operation) in operations.enumerated() {
      for slot in operation.writes where first[slot.index] == nil { first[slot.index] = time }
      for slot in operation.reads + operation.writes { last[slot.index] = time }
    }
    for slot in outputs { last[slot.index] = operations.count }

    var block = [Int](repeating: -1, count: slots.count)
    var blocks: [MemoryPlanner.Block] = []
    func open(_ slot: Int) {
      guard block[slot] < 0, let start = first[slot] else { return }
      block[slot] = blocks.count
      blocks.append(
        MemoryPlanner.Block(bytes: slots[slot].byteCount, lifetime: start...max(start, last[slot]))
      )
    }
    for slot in inputs { open(slot.index) }
    for (time, operation) in operations.enumerated() {
      if let operand = operation.reusableOperand, let result = operation.writes.first, block[result.index] < 0
      {
        let source = operation.reads[operand].index
        let isOnlyUse = operation.reads.filter { $0.index == source }.count == 1
        if block[source] >= 0, blocks[block[source]].lifetime.upperBound == time, isOnlyUse,
          slots[source].byteCount >= slots[result.index].byteCount
        {
          let shared = block[source]
          block[result.index] = shared
          let end = max(time, last[result.index])
          blocks[shared].lifetime = blocks[shared].lifetime.lowerBound...end
        }
      }
      for slot in operation.writes { open(slot.index) }
    }
    let placed = MemoryPlanner.place(blocks)
    size = placed.size
    for slot in slots.indices where block[slot] >= 0 { offsets[slot] = placed.offsets[block[slot]] }
  }
}
