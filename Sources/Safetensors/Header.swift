import BinaryIO
import GraphIR

/// The header of one safetensors file: what it says of its tensors, checked against the size of the file.
struct Header {
  /// One tensor.
  struct Entry {
    let name: String
    let dtype: DType
    let shape: [Int]
    /// Bytes in the data section.
    let range: Range<Int>
  }

  /// In order of their data.
  private(set) var entries: [Entry] = []
  private(set) var metadata: [String: String] = [:]

  /// Names and values of the metadata together, in bytes (L7).
  static let metadataLimit = 64 << 20

  /// Dimensions of a tensor that is merely stored (L1).
  static let rankLimit = 32

  /// - Parameters:
  ///   - text: The header with its padding.
  ///   - dataBytes: Bytes that follow the header.
  ///   - limits: For counts, names and shapes.
  /// - Throws: A refusal with the rule S2-S12 or S16 that is broken.
  init(_ text: [UInt8], dataBytes: Int, limits: Limits) throws(Refusal) {
    guard text.first == UInt8(ascii: "{") else {
      throw Refusal(
        .invalid,
        at: "header byte 0",
        rule: "S2",
        "is not '{'",
        remedy: Remedy.rewrite
      )
    }
    var scanner = JSONScanner(text, label: "header")
    var entries: [Entry] = []
    var metadata: [String: String] = [:]
    try scanner.object { (scanner, name) throws(Refusal) in
      guard name != "__metadata__" else {
        metadata = try Header.metadata(&scanner, limits)
        return
      }
      guard entries.count < limits.objects else {
        throw Refusal(
          .limit,
          at: Header.place(name),
          rule: "L5",
          "is one tensor too many; at most \(limits.objects) are accepted",
          remedy: "split the file"
        )
      }
      try checkName(name, limits)
      do throws(Refusal) {
        entries.append(try Header.entry(&scanner, name: name, limits))
      } catch {
        throw error.at(Header.place(name))
      }
    }
    guard scanner.remaining.allSatisfy({ $0 == 0x20 }) else {
      throw scanner.invalid("S2", "is followed by something else than spaces")
    }
    self.entries = try Header.contiguous(entries, dataBytes: dataBytes)
    self.metadata = metadata
  }

  private static func metadata(
    _ scanner: inout JSONScanner,
    _ limits: Limits
  ) throws(Refusal) -> [String: String] {
    var result: [String: String] = [:]
    var total = 0
    try scanner.object { (scanner, key) throws(Refusal) in
      guard scanner.nextByte() == UInt8(ascii: "\"") else {
        throw scanner.invalid("S7", "has metadata that is no text")
      }
      let value = try scanner.string()
      let limit = key == SafetensorsGraph.textKey ? metadataLimit : limits.textBytes
      total += key.utf8.count + value.utf8.count
      guard key.utf8.count <= limits.nameBytes, value.utf8.count <= limit, total <= metadataLimit else {
        throw Refusal(
          .limit,
          at: "metadata \(Refusal.quoted(key))",
          rule: "L7",
          "is too long: \(value.utf8.count) bytes of at most \(limit), \(total) of at most \(metadataLimit) in all",
          remedy: "store the text outside of the file"
        )
      }
      result[key] = value
    }
    return result
  }

  private static func entry(
    _ scanner: inout JSONScanner,
    name: String,
    _ limits: Limits
  ) throws(Refusal) -> Entry {
    var dtype: DType?
    var shape: [Int]?
    var offsets: [Int]?
    try scanner.object { (scanner, key) throws(Refusal) in
      switch key {
      case "dtype": dtype = try elementType(scanner.string())
      case "shape": shape = try integers(&scanner, atMost: rankLimit, rule: "S9")
      case "data_offsets": offsets = try integers(&scanner, atMost: 2, rule: "S10")
      default: throw scanner.invalid("S6", "has the unknown key \(Refusal.quoted(key))")
      }
    }
    guard let dtype, let shape, let offsets else {
      let missing = dtype == nil ? "dtype" : shape == nil ? "shape" : "data_offsets"
      throw broken("S6", "has no '\(missing)'")
    }
    guard offsets.count == 2, offsets[0] <= offsets[1] else {
      throw broken("S10", "has data_offsets \(offsets), must be a begin and an end")
    }
    let size = try byteCount(dtype, shape, limits)
    guard offsets[1] - offsets[0] == size else {
      throw broken(
        "S11",
        "has \(offsets[1] - offsets[0]) bytes, but \(dtype.name)\(shape) takes \(size)"
      )
    }
    return Entry(name: name, dtype: dtype, shape: shape, range: offsets[0]..<offsets[1])
  }

  private static func integers(
    _ scanner: inout JSONScanner,
    atMost limit: Int,
    rule: String
  ) throws(Refusal) -> [Int] {
    var result: [Int] = []
    try scanner.array { (scanner) throws(Refusal) in
      guard result.count < limit else {
        throw scanner.invalid(rule, "has a list of more than \(limit) numbers")
      }
      result.append(try scanner.integer())
    }
    return result
  }

  private static func byteCount(_ dtype: DType, _ shape: [Int], _ limits: Limits) throws(Refusal) -> Int {
    guard shape.allSatisfy({ $0 <= limits.dimension }),
      let extent = Checked.product(shape.filter { $0 > 0 }), extent <= limits.elements,
      let size = Checked.product(Checked.product(shape) ?? 0, dtype.size)
    else {
      throw Refusal(
        .limit,
        at: "",
        rule: "S9",
        "has the shape \(shape); a dimension may be \(limits.dimension) and their product \(limits.elements) at most",
        remedy: Remedy.rewrite
      )
    }
    return size
  }

  /// The entries in order of their data, which they must cover without a hole, overlap or rest.
  private static func contiguous(_ entries: [Entry], dataBytes: Int) throws(Refusal) -> [Entry] {
    let order = entries.indices.sorted {
      let (a, b) = (entries[$0].range, entries[$1].range)
      return (a.lowerBound, a.upperBound, $0) < (b.lowerBound, b.upperBound, $1)
    }
    var end = 0
    for entry in order.map({ entries[$0] }) {
      guard entry.range.upperBound <= dataBytes else {
        throw broken(
          "S12",
          "ends at data byte \(entry.range.upperBound), but the file has only \(dataBytes) data bytes"
        ).at(place(entry.name))
      }
      guard entry.range.lowerBound == end else {
        let what = entry.range.lowerBound < end ? "overlaps its predecessor" : "leaves a hole"
        throw broken("S12", "begins at data byte \(entry.range.lowerBound), must be \(end): it \(what)").at(
          place(entry.name)
        )
      }
      end = entry.range.upperBound
    }
    guard end == dataBytes else {
      throw broken("S12", "has \(dataBytes - end) bytes that belong to no tensor").at("data byte \(end)")
    }
    return order.map { entries[$0] }
  }

  private static func place(_ tensor: String) -> String { "tensor \(Refusal.quoted(tensor))" }

  private static func broken(_ rule: String, _ problem: String) -> Refusal {
    Refusal(.invalid, at: "", rule: rule, problem, remedy: Remedy.rewrite)
  }
}

/// Checks the name of a tensor: 1 to `nameBytes` bytes without control characters.
///
/// - Throws: A refusal (S16).
func checkName(_ name: String, _ limits: Limits) throws(Refusal) {
  guard !name.isEmpty, name.utf8.count <= limits.nameBytes,
    !hasControlCharacter(name)
  else {
    throw Refusal(
      .invalid,
      at: "tensor \(Refusal.quoted(name))",
      rule: "S16",
      "has a name of \(name.utf8.count) bytes; 1 to \(limits.nameBytes) without control characters are allowed",
      remedy: "rename the tensor"
    )
  }
}

/// Whether text has a character of U+0000 to U+001F or U+007F to U+009F; the latter but one begin with 0xC2.
private func hasControlCharacter(_ text: String) -> Bool {
  var previous: UInt8 = 0
  for byte in text.utf8 {
    if byte < 0x20 || byte == 0x7F || (previous == 0xC2 && byte < 0xA0) { return true }
    previous = byte
  }
  return false
}
