import CProtobufC
import Glibc

/// Memory for libprotobuf-c that runs out after a number of bytes (L11).
///
/// Every block carries its size in 16 bytes before it, so that freed memory counts as available again.
@safe struct BudgetAllocator: ~Copyable {
  private struct State {
    var available: Int
    var isExhausted: Bool
  }

  private static let header = 16
  private let state: UnsafeMutablePointer<State>

  init(budget: Int) {
    unsafe state = UnsafeMutablePointer<State>.allocate(capacity: 1)
    unsafe state.initialize(to: State(available: budget, isExhausted: false))
  }

  deinit { unsafe state.deallocate() }

  /// Whether a request was turned down.
  var isExhausted: Bool { unsafe state.pointee.isExhausted }

  /// Calls `body` with the allocator in libprotobuf-c's form.
  func withC<R>(_ body: (UnsafeMutablePointer<ProtobufCAllocator>) -> R) -> R {
    var allocator = unsafe ProtobufCAllocator(
      alloc: { unsafe BudgetAllocator.allocate($0, $1) },
      free: { unsafe BudgetAllocator.release($0, $1) },
      allocator_data: UnsafeMutableRawPointer(state)
    )
    return unsafe body(&allocator)
  }

  private static func allocate(_ data: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer? {
    guard let state = unsafe data?.assumingMemoryBound(to: State.self), size >= 0 else { return nil }
    let (total, overflow) = size.addingReportingOverflow(header)
    guard !overflow, unsafe total <= state.pointee.available, let block = unsafe malloc(total) else {
      unsafe state.pointee.isExhausted = true
      return nil
    }
    unsafe state.pointee.available -= total
    unsafe block.storeBytes(of: total, as: Int.self)
    return unsafe block + header
  }

  private static func release(_ data: UnsafeMutableRawPointer?, _ pointer: UnsafeMutableRawPointer?) {
    guard let state = unsafe data?.assumingMemoryBound(to: State.self), let pointer = unsafe pointer else {
      return
    }
    let block = unsafe pointer - header
    unsafe state.pointee.available += block.load(as: Int.self)
    unsafe free(block)
  }
}
