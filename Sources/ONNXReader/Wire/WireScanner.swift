import BinaryIO

/// Walks the protobuf wire of an ONNX file before libprotobuf-c does.
///
/// libprotobuf-c recurses without a limit, copies every payload and cuts text at a NUL. The scanner has an explicit
/// stack, checks O1-O7 and the counts L5-L8, and makes the ``Skeleton`` that is safe and small to unpack.
struct WireScanner {
  /// Payloads above this size stay in the file.
  static let liftThreshold = 4_096
  /// Fields of the whole file, known or skipped (O4).
  static let maximumFields = 64_000_000

  private struct Frame {
    let kind: MessageKind
    let end: Int
    /// Where the content starts in the skeleton; nil for the outermost message.
    let start: Int?
    /// Numbers of the singular fields seen so far, by bit.
    var seen: UInt64 = 0
    /// Items of lists so far: operands of a node, attributes, items of an attribute.
    var operands = 0
    var attributes = 0
    var items = 0
    /// Whether a payload of this tensor was lifted.
    var isLifted = false
  }

  private let limits: Limits
  private let budget: Int
  private var skeleton = Skeleton()
  private var stack: [Frame] = []
  private var offset = 0
  private var fields = 0
  private var graphDepth = 0
  private var objects: [MessageKind: Int] = [:]

  private init(limits: Limits, budget: Int) {
    self.limits = limits
    self.budget = budget
  }

  /// The skeleton of the message that fills `file`.
  ///
  /// - Parameters:
  ///   - file: All bytes of the file.
  ///   - limits: Depths, counts and lengths that are accepted.
  ///   - budget: Bytes that the skeleton may take (L11).
  /// - Throws: A refusal with the byte offset of the first broken rule.
  static func scan(_ file: RawSpan, limits: Limits, budget: Int) throws(Refusal) -> Skeleton {
    var scanner = WireScanner(limits: limits, budget: budget)
    scanner.stack = [Frame(kind: .model, end: file.byteCount, start: nil)]
    while let top = scanner.stack.last {
      if scanner.offset < top.end {
        try scanner.readField(of: file)
      } else {
        scanner.leave()
      }
    }
    return scanner.skeleton
  }

  private mutating func leave() {
    let frame = stack.removeLast()
    if let start = frame.start { skeleton.close(start) }
    if frame.kind == .graph { graphDepth -= 1 }
  }

  // MARK: One field

  private mutating func readField(of file: RawSpan) throws(Refusal) {
    fields += 1
    try require(fields <= WireScanner.maximumFields, .limit, "O4", "too many fields in one file")
    try require(skeleton.bytes.count <= budget, .limit, "L11", "needs more memory than its size allows")
    let frame = stack[stack.count - 1]
    let tag = try readVarint(of: file)
    let number = tag >> 3
    try require(tag <= UInt64(UInt32.max) && number >= 1, .invalid, "O1", "a field's tag is \(tag)")
    let wireType = tag & 7
    guard let field = frame.kind.field(UInt32(number)) else {
      try skip(wireType, of: file)
      return
    }
    try noteOccurrence(of: field, number: Int(number))
    switch (field.encoding, wireType) {
    case (.varint, 0):
      let start = offset
      _ = try readVarint(of: file)
      try count(1, of: field)
      skeleton.copy(tag: tag, start..<offset, of: file)
    case (.fixed32, 5), (.payload(.floats), 5): try copyFixed(4, field, tag, of: file)
    case (.fixed64, 1), (.payload(.doubles), 1): try copyFixed(8, field, tag, of: file)
    case (_, 2): try readLengthDelimited(field, tag, of: file)
    default:
      throw refusal(
        .invalid,
        "O3",
        "field '\(field.name)' has wire type \(wireType), which does not match it"
      )
    }
  }

  /// Singular fields may be given once (O6): protobuf would merge or overwrite, which no exporter needs.
  private mutating func noteOccurrence(of field: WireField, number: Int) throws(Refusal) {
    guard !field.isRepeated else { return }
    let bit = UInt64(1) << UInt64(number)
    try require(
      stack[stack.count - 1].seen & bit == 0,
      .invalid,
      "O6",
      "field '\(field.name)' is given twice in one message"
    )
    stack[stack.count - 1].seen |= bit
  }

  private mutating func copyFixed(
    _ size: Int,
    _ field: WireField,
    _ tag: UInt64,
    of file: RawSpan
  ) throws(Refusal) {
    try refuseAfterLift(field)
    let range = try take(size)
    try count(1, of: field)
    skeleton.copy(tag: tag, range, of: file)
  }

  private mutating func readLengthDelimited(
    _ field: WireField,
    _ tag: UInt64,
    of file: RawSpan
  ) throws(Refusal) {
    let lengthStart = offset
    let length = try readLength(of: file)
    let start = offset
    switch field.encoding {
    case .message(let kind):
      try enter(kind, field: UInt32(tag >> 3), length: length)
      return
    case .name, .text:
      try checkText(try take(length), field, of: file)
      try count(1, of: field)
    case .bytes:
      let limit = limits.textBytes
      try require(length <= limit, .limit, "L7", "'\(field.name)' has \(length) bytes, at most \(limit)")
      _ = try take(length)
      try count(1, of: field)
    case .varint:
      try require(field.isRepeated, .invalid, "O3", "field '\(field.name)' has wire type 2, must be a number")
      try checkPackedVarints(length, field, of: file)
    case .fixed32, .fixed64:
      let size = if case .fixed32 = field.encoding { 4 } else { 8 }
      try require(field.isRepeated, .invalid, "O3", "field '\(field.name)' has wire type 2, must be a number")
      try checkPackedFixed(length, size, field)
      try count(length / size, of: field)
    case .payload(let payload):
      try refuseAfterLift(field)
      try checkPackedFixed(length, payload.elementSize, field)
      if length > WireScanner.liftThreshold, !stack[stack.count - 1].isLifted {
        stack[stack.count - 1].isLifted = true
        skeleton.lift(start..<offset, payload)
        return
      }
    }
    skeleton.copy(tag: tag, lengthStart..<offset, of: file)
  }

  /// A list of elements of which a part stayed in the file cannot go on.
  private func refuseAfterLift(_ field: WireField) throws(Refusal) {
    guard case .payload = field.encoding else { return }
    try require(
      !stack[stack.count - 1].isLifted,
      .unsupported,
      "O32",
      "the tensor has a second '\(field.name)' after a large payload",
      remedy: "save the model again with the onnx package; it writes one payload per tensor"
    )
  }

  private mutating func enter(_ kind: MessageKind, field: UInt32, length: Int) throws(Refusal) {
    let end = offset + length
    try require(
      stack.count < limits.messageDepth,
      .limit,
      "L8",
      "messages are nested more than \(limits.messageDepth) deep"
    )
    if kind == .graph {
      graphDepth += 1
      try require(
        graphDepth <= limits.graphDepth,
        .limit,
        "L8",
        "graphs are nested more than \(limits.graphDepth) deep"
      )
    }
    if kind == .attribute {
      stack[stack.count - 1].attributes += 1
      try require(
        stack[stack.count - 1].attributes <= limits.attributes,
        .limit,
        "L6",
        "a node has more than \(limits.attributes) attributes"
      )
    }
    if kind == .node || kind == .tensor || kind == .valueInfo {
      let total = objects[kind, default: 0] + 1
      objects[kind] = total
      try require(total <= limits.objects, .limit, "L5", "there are more than \(limits.objects) of a kind")
    }
    stack.append(Frame(kind: kind, end: end, start: skeleton.open(field: field)))
  }

  // MARK: Content

  private func checkText(_ range: Range<Int>, _ field: WireField, of file: RawSpan) throws(Refusal) {
    var limit = limits.textBytes
    if case .name = field.encoding { limit = limits.nameBytes }
    try require(
      range.count <= limit,
      .limit,
      "L7",
      "'\(field.name)' has \(range.count) bytes, at most \(limit) are accepted"
    )
    guard let text = file.text(range), !text.utf8.contains(0) else {
      throw refusal(.invalid, "O7", "'\(field.name)' is not UTF-8 text without NUL")
    }
    guard case .name = field.encoding else { return }
    try require(
      !text.utf8.contains { $0 < 0x20 || $0 == 0x7F },
      .invalid,
      "L7",
      "'\(field.name)' is \(Refusal.quoted(text)), which has control characters"
    )
  }

  private mutating func checkPackedVarints(
    _ length: Int,
    _ field: WireField,
    of file: RawSpan
  ) throws(Refusal) {
    let end = offset + length
    var items = 0
    while offset < end {
      _ = try readVarint(of: file, end: end)
      items += 1
    }
    try count(items, of: field)
  }

  private mutating func checkPackedFixed(_ length: Int, _ size: Int, _ field: WireField) throws(Refusal) {
    try require(
      length % size == 0,
      .invalid,
      "O5",
      "'\(field.name)' has \(length) bytes, which are no whole elements of \(size) bytes"
    )
    _ = try take(length)
  }

  /// Adds to the number of a node's operands or of an attribute's items.
  private mutating func count(_ more: Int, of field: WireField) throws(Refusal) {
    let index = stack.count - 1
    switch stack[index].kind {
    case .node where field.isRepeated:
      stack[index].operands += more
      try require(
        stack[index].operands <= limits.nodeArity,
        .limit,
        "L6",
        "a node has more than \(limits.nodeArity) inputs and outputs"
      )
    case .attribute where field.isRepeated:
      stack[index].items += more
      try require(
        stack[index].items <= limits.attributeItems,
        .limit,
        "L6",
        "an attribute has more than \(limits.attributeItems) items"
      )
    default: break
    }
  }

  // MARK: Bytes

  private mutating func skip(_ wireType: UInt64, of file: RawSpan) throws(Refusal) {
    switch wireType {
    case 0: _ = try readVarint(of: file)
    case 1: _ = try take(8)
    case 2: _ = try take(try readLength(of: file))
    case 5: _ = try take(4)
    case 3, 4: throw refusal(.invalid, "O3", "a field is a protobuf group, which ONNX does not use")
    default: throw refusal(.invalid, "O3", "a field has wire type \(wireType), which does not exist")
    }
  }

  private mutating func readLength(of file: RawSpan) throws(Refusal) -> Int {
    let length = try readVarint(of: file)
    let remaining = stack[stack.count - 1].end - offset
    guard let length = Int(exactly: length), length <= remaining else {
      throw refusal(.invalid, "O2", "a field claims \(length) bytes, its message has \(remaining) left")
    }
    return length
  }

  /// The next `size` bytes of the innermost message, which are skipped.
  private mutating func take(_ size: Int) throws(Refusal) -> Range<Int> {
    let remaining = stack[stack.count - 1].end - offset
    guard size <= remaining else {
      throw refusal(.invalid, "O2", "a field needs \(size) bytes, its message has \(remaining) left")
    }
    defer { offset += size }
    return offset..<(offset + size)
  }

  private mutating func readVarint(of file: RawSpan, end: Int? = nil) throws(Refusal) -> UInt64 {
    let end = end ?? stack[stack.count - 1].end
    var value: UInt64 = 0
    for position in 0..<10 {
      guard offset + position < end, let byte = file.byte(offset + position) else {
        throw refusal(.invalid, "O2", "a number is cut off by the end of its message")
      }
      guard position < 9 || byte <= 1 else { break }
      value |= UInt64(byte & 0x7F) << UInt64(7 * position)
      if byte < 0x80 {
        offset += position + 1
        return value
      }
    }
    throw refusal(.invalid, "O1", "a number has more than 64 bits")
  }

  // MARK: Refusing

  private func require(
    _ condition: Bool,
    _ kind: Refusal.Kind,
    _ rule: String,
    _ problem: @autoclosure () -> String,
    remedy: String? = nil
  ) throws(Refusal) {
    guard condition else { throw refusal(kind, rule, problem(), remedy: remedy) }
  }

  private func refusal(
    _ kind: Refusal.Kind,
    _ rule: String,
    _ problem: String,
    remedy: String? = nil
  ) -> Refusal {
    let standard =
      kind == .limit
      ? "split the model, or check that the file is not hostile"
      : "the file is damaged or no ONNX model; export or download it again"
    return Refusal(kind, at: "byte \(offset)", rule: rule, problem, remedy: remedy ?? standard)
  }
}
