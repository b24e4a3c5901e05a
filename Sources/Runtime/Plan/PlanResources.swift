package import BinaryIO
internal import GraphIR
internal import Kernels

/// What the plans of one session share: threads and packed weights.
///
/// `Sendable` unchecked because the session makes and runs one plan at a time.
package final class PlanResources: @unchecked Sendable {
  let context: KernelContext
  private let store: WeightStore

  /// - Parameters:
  ///   - threads: Threads of the kernels.
  ///   - instructionSet: Its name, or nil for that of the environment or the best of the machine.
  /// - Throws: A refusal when the instruction set is not available (R7) or the system has no threads left.
  package init(threads: Int, instructionSet: String? = nil) throws(Refusal) {
    let set = InstructionSet.allCases.first { $0.name == instructionSet }
    guard set?.isAvailable ?? (instructionSet == nil && InstructionSet.isWishGranted) else {
      throw PlanResources.unavailableSet
    }
    guard let context = KernelContext(threads: threads, instructionSet: set ?? .best) else {
      throw PlanBuilder.outOfMemory("\(threads) threads")
    }
    self.context = context
    store = WeightStore()
  }

  private init(_ context: KernelContext, _ store: WeightStore) {
    self.context = context
    self.store = store
  }

  /// The same weights with one thread of their own, for a plan that runs beside others.
  ///
  /// - Throws: A refusal when memory runs out.
  func lane() throws(Refusal) -> PlanResources {
    guard let single = KernelContext(threads: 1, instructionSet: context.instructionSet) else {
      throw PlanBuilder.outOfMemory("a thread")
    }
    return PlanResources(single, store)
  }

  /// Bytes of packed weights.
  package var weightBytes: Int { store.packed.values.reduce(0) { $0 + $1.residentBytes } }

  /// The weights of the step that makes `result` for a tile, packed by `pack` the first time.
  ///
  /// - Throws: A refusal when memory runs out, or what `pack` throws.
  func weights(
    of result: ValueID,
    tile: Int,
    _ pack: () throws(Refusal) -> PackedWeights?
  ) throws(Refusal) -> PackedWeights {
    let key = WeightStore.Key(result: result, tile: tile)
    if let known = store.packed[key] { return known }
    guard let made = try pack() else { throw PlanBuilder.outOfMemory("packed weights") }
    store.packed[key] = made
    return made
  }

  private static var unavailableSet: Refusal {
    let names = InstructionSet.allCases.filter(\.isAvailable).map(\.name).joined(separator: ", ")
    return Refusal(
      .usage,
      at: "environment variable QCONVERT_ISA",
      rule: "R7",
      "names an instruction set that this machine lacks or there are no kernels for",
      remedy: "unset it, or choose one of \(names)"
    )
  }
}

/// Packed weights by the result of the step they belong to.
private final class WeightStore {
  /// The result of the step that weights belong to, and the tile they are transformed for.
  struct Key: Hashable {
    let result: ValueID
    let tile: Int
  }

  var packed: [Key: PackedWeights] = [:]
}
