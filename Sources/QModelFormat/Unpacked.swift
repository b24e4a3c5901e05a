import BinaryIO
import CProtobufC
import CQModelProto
import Glibc

/// Unpacks scanned sections with libprotobuf-c, under a bound on what it may allocate.
enum Unpacked {
  /// Unpacks a graph section for the time of `body`.
  ///
  /// - Throws: A refusal when the bound is exceeded or the bytes are no such message, or what `body` throws.
  static func graph<R>(
    _ bytes: ByteSlice,
    limits: Limits,
    _ body: (Qmodel__Graph) throws(Refusal) -> R
  ) throws(Refusal) -> R {
    try WireScanner.check(bytes, as: .graph, in: "graph", limits: limits)
    return try unsafe withAllocator(bytes) { (allocator, start, count) throws(Refusal) in
      guard let message = unsafe qmodel__graph__unpack(allocator, count, start) else {
        throw Unpacked.exceeded("graph section")
      }
      defer { unsafe qmodel__graph__free_unpacked(message, allocator) }
      return try unsafe body(message.pointee)
    }
  }

  /// Unpacks a metadata section for the time of `body`.
  ///
  /// - Throws: A refusal when the bound is exceeded or the bytes are no such message, or what `body` throws.
  static func metadata<R>(
    _ bytes: ByteSlice,
    limits: Limits,
    _ body: (Qmodel__Metadata) throws(Refusal) -> R
  ) throws(Refusal) -> R {
    try WireScanner.check(bytes, as: .metadata, in: "metadata", limits: limits)
    return try unsafe withAllocator(bytes) { (allocator, start, count) throws(Refusal) in
      guard let message = unsafe qmodel__metadata__unpack(allocator, count, start) else {
        throw Unpacked.exceeded("metadata section")
      }
      defer { unsafe qmodel__metadata__free_unpacked(message, allocator) }
      return try unsafe body(message.pointee)
    }
  }

  /// Bytes that unpacking may still allocate.
  private final class Budget {
    var remaining: Int

    init(for count: Int) {
      remaining = Checked.product(count, 8).flatMap { Checked.sum($0, 64 << 20) } ?? .max
    }
  }

  private static func withAllocator<R>(
    _ bytes: ByteSlice,
    _ body: (UnsafeMutablePointer<ProtobufCAllocator>, UnsafePointer<UInt8>?, Int) throws(Refusal) -> R
  ) throws(Refusal) -> R {
    let budget = Budget(for: bytes.count)
    defer { extendLifetime(budget) }
    var allocator = unsafe ProtobufCAllocator(
      alloc: { data, size in
        guard let data = unsafe data else { return nil }
        let budget = unsafe Unmanaged<Budget>.fromOpaque(data).takeUnretainedValue()
        guard size <= budget.remaining else { return nil }
        budget.remaining -= size
        return unsafe malloc(size)
      },
      free: { _, pointer in unsafe free(pointer) },
      allocator_data: Unmanaged.passUnretained(budget).toOpaque()
    )
    return try unsafe bytes.withUnsafeBytes { (raw) throws(Refusal) in
      let start = unsafe raw.baseAddress?.assumingMemoryBound(to: UInt8.self)
      return try unsafe body(&allocator, start, raw.count)
    }
  }

  private static func exceeded(_ place: String) -> Refusal {
    Refusal(
      .limit,
      at: place,
      rule: "L11",
      "needs more memory than a section of its size may",
      remedy: "the file is damaged or hostile: convert it again"
    )
  }

  /// A bytes field as checked text.
  ///
  /// - Throws: A refusal when it is not UTF-8.
  static func text(_ field: ProtobufCBinaryData, _ place: String) throws(Refusal) -> String {
    let raw = unsafe UnsafeBufferPointer(start: field.data, count: field.len)
    guard let text = unsafe String(validating: raw, as: UTF8.self) else {
      throw malformed(place, "Q10", "has text that is not UTF-8")
    }
    return text
  }

  /// A bytes field as a name: at most L7 bytes, without control characters.
  ///
  /// - Throws: A refusal when it is not UTF-8 or breaks L7.
  static func name(_ field: ProtobufCBinaryData, _ place: String, limits: Limits) throws(Refusal) -> String {
    guard unsafe field.len <= limits.nameBytes else {
      throw unsafe malformed(
        place,
        "L7",
        "has a name of \(field.len) bytes, at most \(limits.nameBytes) are allowed"
      )
    }
    let name = try unsafe text(field, place)
    guard name.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
      throw malformed(place, "L7", "has a name with control characters: \(Refusal.quoted(name))")
    }
    return name
  }
}
