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

  /// Calls `body` once for each index below `count`, on all threads at the same time.
  ///
  /// - Parameter body: Gets the index and the thread, which is below ``threads``; it must not use this context.
  package func forEach(_ count: Int, _ body: @Sendable (_ index: Int, _ thread: Int) -> Void) {
    typealias Body = @Sendable (Int, Int) -> Void
    withoutActuallyEscaping(body) { body in
      var body = body
      unsafe withUnsafeMutablePointer(to: &body) { pointer in
        unsafe qk_pool_run(pool, count, pointer) { context, index, thread in
          guard let body = unsafe context?.assumingMemoryBound(to: Body.self) else { return }
          unsafe body.pointee(index, thread)
        }
      }
    }
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
