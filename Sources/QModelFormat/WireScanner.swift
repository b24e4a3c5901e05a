import BinaryIO

/// The messages of `schemas/qmodel.proto`, as the scanner sees them.
enum WireMessage {
  case graph
  case value
  case constant
  case node
  case attribute
  case metadata
  case entry

  /// What a field holds.
  enum Field {
    case varint(bits: Int)
    case fixed32
    case bytes(isRepeated: Bool)
    case packedVarints(bits: Int)
    case packedFixed32
    case messages(WireMessage)
  }

  func field(_ number: UInt64) -> Field? {
    switch (self, number) {
    case (.graph, 1), (.value, 1), (.constant, 1), (.constant, 5), (.node, 2): .bytes(isRepeated: false)
    case (.attribute, 1), (.attribute, 5), (.entry, 1), (.entry, 2): .bytes(isRepeated: false)
    case (.graph, 2): .bytes(isRepeated: true)
    case (.graph, 3), (.node, 5): .messages(.value)
    case (.graph, 4): .messages(.constant)
    case (.graph, 5): .messages(.node)
    case (.graph, 6), (.node, 3): .packedVarints(bits: 32)
    case (.value, 2), (.constant, 2), (.constant, 4), (.node, 1), (.attribute, 2): .varint(bits: 32)
    case (.value, 3), (.constant, 3), (.attribute, 6): .packedVarints(bits: 64)
    case (.node, 4): .messages(.attribute)
    case (.attribute, 3): .varint(bits: 64)
    case (.attribute, 4): .fixed32
    case (.attribute, 7): .packedFixed32
    case (.metadata, 1): .messages(.entry)
    default: nil
    }
  }
}

/// Checks the wire form of a section before libprotobuf-c sees it.
///
/// That library merges singular fields given twice, skips unknown ones, cuts integers and follows any nesting; the
/// scan refuses all of it, and counts messages so that what unpacking allocates is bounded. The schema has no
/// recursion: nesting ends at three.
struct WireScanner {
  private let section: String
  private var messages = 0
  private let messageLimit: Int

  /// Checks a whole section.
  ///
  /// - Parameters:
  ///   - bytes: The section's raw bytes.
  ///   - message: What they must be.
  ///   - section: The section's name, for messages.
  ///   - limits: Bounds on counts.
  /// - Throws: A refusal under Q10 or L5.
  static func check(
    _ bytes: ByteSlice,
    as message: WireMessage,
    in section: String,
    limits: Limits
  ) throws(Refusal) {
    var scanner = WireScanner(
      section: section,
      messageLimit: Checked.product(limits.objects, 4) ?? .max
    )
    try bytes.withBytes { (span) throws(Refusal) in
      try scanner.scan(span, 0..<span.byteCount, as: message)
    }
  }

  private init(section: String, messageLimit: Int) {
    self.section = section
    self.messageLimit = messageLimit
  }

  private mutating func scan(_ span: RawSpan, _ range: Range<Int>, as message: WireMessage) throws(Refusal) {
    messages += 1
    guard messages <= messageLimit else {
      throw malformed(section, "L5", "has more than \(messageLimit) messages")
    }
    var offset = range.lowerBound
    var seen: UInt64 = 0
    while offset < range.upperBound {
      let start = offset
      let tag = try varint(span, &offset, range.upperBound, bits: 32)
      guard let field = message.field(tag >> 3) else {
        throw broken(start, "has field \(tag >> 3), which is not known here")
      }
      let isFresh = seen & (1 << (tag >> 3)) == 0
      seen |= 1 << (tag >> 3)
      switch (field, tag & 7) {
      case (.varint(let bits), 0):
        _ = try varint(span, &offset, range.upperBound, bits: bits)
      case (.fixed32, 5):
        guard range.upperBound - offset >= 4 else { throw broken(start, "is cut off") }
        offset += 4
      case (.bytes, 2), (.packedVarints, 2), (.packedFixed32, 2), (.messages, 2):
        try scanContent(span, &offset, range.upperBound, field)
      default:
        throw broken(start, "has wire type \(tag & 7) for field \(tag >> 3)")
      }
      guard isFresh || field.mayRepeat else { throw broken(start, "has field \(tag >> 3) twice") }
    }
  }

  private mutating func scanContent(
    _ span: RawSpan,
    _ offset: inout Int,
    _ end: Int,
    _ field: WireMessage.Field
  ) throws(Refusal) {
    let start = offset
    let length = try varint(span, &offset, end, bits: 64)
    guard length <= UInt64(end - offset) else {
      throw broken(start, "names \(length) bytes where \(end - offset) are left")
    }
    let stop = offset + Int(length)
    switch field {
    case .bytes: break
    case .packedFixed32:
      guard length % 4 == 0 else { throw broken(start, "has \(length) bytes of 4-byte numbers") }
    case .packedVarints(let bits):
      while offset < stop { _ = try varint(span, &offset, stop, bits: bits) }
    case .messages(let inner): try scan(span, offset..<stop, as: inner)
    case .varint, .fixed32: throw broken(start, "has the wrong wire type")
    }
    offset = stop
  }

  private func varint(_ span: RawSpan, _ offset: inout Int, _ end: Int, bits: Int) throws(Refusal) -> UInt64 {
    let start = offset
    var value: UInt64 = 0
    for shift in stride(from: 0, to: 70, by: 7) {
      guard offset < end, let byte = span.byte(offset) else {
        throw broken(start, "is cut off in an integer")
      }
      offset += 1
      guard shift < 63 || byte <= 1 else { break }
      value |= UInt64(byte & 0x7F) << UInt64(shift)
      guard byte & 0x80 == 0 else { continue }
      guard bits == 64 || value >> UInt64(bits) == 0 else { break }
      return value
    }
    throw broken(start, "has an integer of more than \(bits) bits")
  }

  private func broken(_ offset: Int, _ problem: String) -> Refusal {
    malformed("\(section) section, byte \(offset)", "Q10", problem)
  }
}

extension WireMessage.Field {
  fileprivate var mayRepeat: Bool {
    switch self {
    case .bytes(let isRepeated): isRepeated
    case .messages: true
    case .varint, .fixed32, .packedVarints, .packedFixed32: false
    }
  }
}
