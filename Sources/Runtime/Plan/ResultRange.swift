internal import Kernels

/// The least and the largest finite element of a float result, 0 included, found by the operation that computes it.
final class ResultRange {
  /// Whether a later operation reads the range; decided while the plan is built.
  var isWanted = false
  private let memory: Memory

  init(memory: Memory) { self.memory = memory }

  /// Space for both, if they are wanted.
  var wanted: Buffer? { isWanted ? memory.buffer : nil }
}
