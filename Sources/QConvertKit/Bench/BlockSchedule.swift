/// The order in which several models are timed: in short blocks by turns, so that a machine that changes its speed
/// changes it for all of them.
struct BlockSchedule {
  /// Consecutive runs of one model.
  struct Block: Hashable {
    let model: Int
    let runs: Int
  }

  /// Most blocks per model.
  static let rounds = 10

  /// Blocks in order: each round times every model once and begins with another one than the round before.
  ///
  /// - Parameters:
  ///   - models: How many take part.
  ///   - runs: Runs per model, at least 1.
  static func blocks(models: Int, runs: Int) -> [Block] {
    let rounds = min(rounds, runs)
    return (0..<rounds).flatMap { round in
      let count = runs * (round + 1) / rounds - runs * round / rounds
      return (0..<models).map { Block(model: (round + $0) % models, runs: count) }
    }
  }
}
