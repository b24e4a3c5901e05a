import Glibc

/// A block of memory that tensors are slices of: heap memory, a mapped file, or a spill file.
///
/// Immutable once shared: writers fill it through ``ByteSlice/build(count:in:_:)`` before anyone else sees it.
@safe public final class ByteStorage: Sendable {
  package enum Kind: Sendable {
    case heap
    case mapped
  }

  package nonisolated(unsafe) let base: UnsafeMutableRawPointer
  public let count: Int
  package let kind: Kind

  /// Takes ownership of `count` bytes at `base`, released as `kind` says.
  package init(owning base: UnsafeMutableRawPointer, count: Int, kind: Kind) {
    unsafe self.base = base
    self.count = count
    self.kind = kind
  }

  deinit {
    switch kind {
    case .heap: unsafe free(base)
    case .mapped: unsafe munmap(base, count)
    }
  }

  /// Zeroed heap memory, 64-byte aligned, with 64 bytes of zeroed tail padding for vector loads.
  package static func heap(count: Int) throws(Refusal) -> ByteStorage {
    var pointer: UnsafeMutableRawPointer?
    guard let padded = Checked.sum(count, 64), unsafe posix_memalign(&pointer, 64, padded) == 0,
      let base = unsafe pointer
    else {
      throw Refusal(
        .limit,
        at: "allocation of \(count) bytes",
        rule: "L11",
        "the system has no memory left",
        remedy: "free memory or use a machine with more"
      )
    }
    unsafe memset(base, 0, padded)
    return unsafe ByteStorage(owning: base, count: count, kind: .heap)
  }

  /// Tells the kernel that the pages of a mapped range are not needed soon; they are read again on demand.
  ///
  /// Keeps the resident size of a conversion near its largest tensor instead of the whole file.
  package func releasePages(_ range: Range<Int>) {
    guard case .mapped = kind else { return }
    let page = 4096
    let start = (range.lowerBound + page - 1) / page * page
    let end = range.upperBound == count ? count : range.upperBound / page * page
    guard end > start else { return }
    unsafe madvise(base + start, end - start, MADV_DONTNEED)
  }
}

/// A range of a ``ByteStorage``.
public struct ByteSlice: Sendable {
  public let storage: ByteStorage
  public let range: Range<Int>

  public init(_ storage: ByteStorage) {
    self.storage = storage
    range = 0..<storage.count
  }

  /// The bytes `range` (relative to this slice), or nil if they are not inside it.
  public func slice(_ range: Range<Int>) -> ByteSlice? {
    guard range.lowerBound >= 0, range.upperBound <= count else { return nil }
    return ByteSlice(
      storage: storage,
      range: (self.range.lowerBound + range.lowerBound)..<(self.range.lowerBound + range.upperBound)
    )
  }

  private init(storage: ByteStorage, range: Range<Int>) {
    self.storage = storage
    self.range = range
  }

  public var count: Int { range.count }

  /// The bytes, read only, for the time of `body`.
  public func withBytes<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try unsafe withUnsafeBytes { (buffer) throws(E) -> R in
      let span = unsafe RawSpan(_unsafeBytes: buffer)
      return try body(span)
    }
  }

  /// The bytes as an unsafe buffer, for kernels.
  package func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    defer { extendLifetime(storage) }
    return try unsafe body(UnsafeRawBufferPointer(start: storage.base + range.lowerBound, count: range.count))
  }

  /// Whether both hold the same bytes.
  package func hasSameBytes(as other: ByteSlice) -> Bool {
    guard count == other.count else { return false }
    return unsafe withUnsafeBytes { a in
      unsafe other.withUnsafeBytes { b in
        guard let x = a.baseAddress, let y = b.baseAddress else { return true }
        return unsafe memcmp(x, y, count) == 0
      }
    }
  }

  /// Whether the first byte lies at a multiple of `alignment`.
  package func isAligned(to alignment: Int) -> Bool {
    unsafe (UInt(bitPattern: storage.base) + UInt(range.lowerBound)) % UInt(alignment) == 0
  }

  /// New bytes, written by `fill` before anyone else sees them.
  ///
  /// - Parameters:
  ///   - count: How many bytes.
  ///   - allocator: Where they live.
  ///   - fill: Writes them; the buffer arrives zeroed.
  /// - Throws: A refusal when memory runs out, or what `fill` throws.
  package static func build(
    count: Int,
    in allocator: StorageAllocator = .heap,
    _ fill: (UnsafeMutableRawBufferPointer) throws(Refusal) -> Void
  ) throws(Refusal) -> ByteSlice {
    let storage = try allocator.allocate(count: count)
    try unsafe fill(UnsafeMutableRawBufferPointer(start: storage.base, count: count))
    return ByteSlice(storage)
  }
}
