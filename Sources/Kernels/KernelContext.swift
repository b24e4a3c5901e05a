internal import CKernels

/// Threads, their scratch memory and the instruction set that kernels run with; one call at a time.
@safe package final class KernelContext {
  package let instructionSet: InstructionSet
  package let threads: Int
  let pool: OpaquePointer
  private var memory: Memory?
  private var stride = 0

  /// - Returns: nil when the system has no threads or memory left.
  package init?(threads: Int, instructionSet: InstructionSet = .best) {
    precondition(threads >= 1 && instructionSet.isAvailable)
    guard let pool = unsafe qk_pool_create(threads) else { return nil }
    unsafe self.pool = pool
    self.threads = threads
    self.instructionSet = instructionSet
  }

  deinit { unsafe qk_pool_destroy(pool) }

  /// Makes sure that each thread has `bytes` of scratch.
  ///
  /// - Returns: Whether there is enough memory.
  package func reserve(_ bytes: Int) -> Bool {
    guard bytes > stride else { return true }
    let rounded = (bytes + 4095) / 4096 * 4096
    guard let memory = Memory(count: rounded * threads) else { return false }
    self.memory = memory
    stride = rounded
    return true
  }

  /// Bytes of scratch of all threads.
  package var scratchBytes: Int { stride * threads }

  /// The scratch for a kernel that needs `bytes` per thread.
  func scratch(_ bytes: Int) -> qk_scratch {
    precondition(bytes <= stride, "a kernel needs \(bytes) bytes of scratch, \(stride) are reserved")
    return unsafe qk_scratch(base: memory?.buffer.pointer(0), stride: stride)
  }

  var isa: qk_isa { instructionSet.value }
}
