import Testing

@testable import QConvertKit

@Suite struct BlockScheduleTests {
  @Test("models alternate, and each round begins with the next one")
  func alternation() {
    let blocks = BlockSchedule.blocks(models: 3, runs: 20)
    #expect(blocks.prefix(6).map(\.model) == [0, 1, 2, 1, 2, 0])
    #expect(blocks.count == 3 * BlockSchedule.rounds && blocks.allSatisfy { $0.runs == 2 })
  }

  @Test("every model gets all its runs, also when they do not divide", arguments: [1, 2, 9, 10, 11, 37, 200])
  func totals(runs: Int) {
    for models in 1...4 {
      let blocks = BlockSchedule.blocks(models: models, runs: runs)
      for model in 0..<models {
        #expect(blocks.filter { $0.model == model }.map(\.runs).reduce(0, +) == runs)
      }
      #expect(blocks.allSatisfy { $0.runs > 0 })
    }
  }
}
