internal import BinaryIO
internal import GraphIR
internal import Kernels

/// One kernel call of a plan.
struct Operation {
  /// For profiles, such as `f32 conv 3x3`.
  let name: String
  /// Index of the step it belongs to.
  let step: Int
  let reads: [SlotID]
  let writes: [SlotID]
  /// The first result may take the place of the operand at this index.
  var reusableOperand: Int?
  /// Scratch per thread.
  var scratchBytes = 0
  /// Other steps that it computes.
  var joinedSteps: [Int] = []
  let body: (PlanRun) throws(Refusal) -> Void
}

/// What an ``Operation`` runs with.
final class PlanRun {
  let context: KernelContext
  private let buffers: [Buffer]

  init(_ context: KernelContext, _ buffers: [Buffer]) {
    self.context = context
    self.buffers = buffers
  }

  subscript(_ slot: SlotID) -> Buffer { buffers[slot.index] }
}
