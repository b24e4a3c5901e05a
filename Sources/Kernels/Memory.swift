internal import CKernels
import Glibc

/// A block of zeroed memory, 64-byte aligned, readable 64 bytes past its end.
///
/// Large blocks are pages of their own, which the system zeroes when they are first touched, in huge pages where it
/// grants them.
@safe package final class Memory: Sendable {
  fileprivate nonisolated(unsafe) let base: UnsafeMutableRawPointer
  package let count: Int
  /// Bytes to give back to the system; 0 for a block of the heap.
  private let mappedBytes: Int

  /// Blocks from this size on are mapped.
  private static let mappedFrom = 1 << 18
  private static let hugePage = 1 << 21

  /// - Returns: nil when the system has no memory left.
  package init?(count: Int) {
    let padding = Int(QK_TAIL_PADDING)
    guard count >= 0, count <= Int.max / 2 else { return nil }
    self.count = count
    guard count < Memory.mappedFrom else {
      guard let (base, bytes) = unsafe Memory.map(count + padding) else { return nil }
      unsafe self.base = base
      mappedBytes = bytes
      return
    }
    var pointer: UnsafeMutableRawPointer?
    guard unsafe posix_memalign(&pointer, 64, count + padding) == 0, let base = unsafe pointer else {
      return nil
    }
    unsafe memset(base, 0, count + padding)
    unsafe self.base = base
    mappedBytes = 0
  }

  deinit {
    if mappedBytes > 0 { unsafe munmap(base, mappedBytes) } else { unsafe free(base) }
  }

  /// Maps at least `count` bytes, at the start of a huge page if they fill one.
  private static func map(_ count: Int) -> (UnsafeMutableRawPointer, Int)? {
    let page = 1 << 12
    let bytes = (count + page - 1) / page * page
    let slack = bytes < hugePage ? 0 : hugePage
    let flags = MAP_PRIVATE | MAP_ANONYMOUS
    guard let all = unsafe mmap(nil, bytes + slack, PROT_READ | PROT_WRITE, flags, -1, 0),
      unsafe all != MAP_FAILED
    else { return nil }
    guard slack > 0 else { return unsafe (all, bytes) }
    let before = (hugePage - Int(bitPattern: all) & (hugePage - 1)) & (hugePage - 1)
    let base = unsafe all + before
    if before > 0 { unsafe munmap(all, before) }
    if slack > before { unsafe munmap(base + bytes, slack - before) }
    unsafe madvise(base, bytes, MADV_HUGEPAGE)
    return unsafe (base, bytes)
  }

  /// All of it.
  package var buffer: Buffer { Buffer(self, offset: 0, count: count) }
}

/// A range of a ``Memory`` that kernels read and write.
///
/// Kernels check its size, not who else uses it: two buffers may overlap, and an executor decides when that is right.
package struct Buffer: Sendable {
  package let memory: Memory
  package let offset: Int
  package let count: Int

  package init(_ memory: Memory, offset: Int, count: Int) {
    precondition(offset >= 0 && count >= 0 && offset <= memory.count && count <= memory.count - offset)
    self.memory = memory
    self.offset = offset
    self.count = count
  }

  /// The first byte; there are `bytes` of them.
  func pointer(_ bytes: Int) -> UnsafeMutableRawPointer {
    precondition(bytes <= count, "a kernel needs \(bytes) bytes, the buffer has \(count)")
    return unsafe memory.base + offset
  }

  func elements<Element: BitwiseCopyable>(_ count: Int, of type: Element.Type) -> UnsafeMutablePointer<
    Element
  > {
    unsafe pointer(count * MemoryLayout<Element>.stride).assumingMemoryBound(to: Element.self)
  }

  /// Copies bytes in.
  package func write(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    unsafe pointer(bytes.count).copyMemory(from: source, byteCount: bytes.count)
  }

  /// Copies bytes out, as many as the destination takes.
  package func read(into bytes: UnsafeMutableRawBufferPointer) {
    guard let destination = bytes.baseAddress, bytes.count > 0 else { return }
    unsafe destination.copyMemory(from: pointer(bytes.count), byteCount: bytes.count)
  }

  /// Copies elements in.
  package func write<Element: BitwiseCopyable>(_ elements: [Element]) {
    unsafe elements.withUnsafeBytes { unsafe write($0) }
  }

  /// Copies elements out.
  package func read<Element: BitwiseCopyable>(_ count: Int, as type: Element.Type) -> [Element] {
    unsafe Array(UnsafeBufferPointer(start: elements(count, of: Element.self), count: count))
  }
}
