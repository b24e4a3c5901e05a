import BinaryIO

/// A strict scanner of JSON text (RFC 8259) for callers that know what comes next.
///
/// It reads forwards once and builds no tree, so its depth is that of its caller. Keys that occur twice in an
/// object are refused after unescaping: `"a"` and `"\u0061"` are the same key, and so are canonically equivalent
/// spellings, because the package compares names as text.
struct JSONScanner {
  private let bytes: [UInt8]
  /// The next byte, from the start of the text.
  private(set) var offset = 0
  /// What the text is called in refusals, such as `header`.
  private let label: String

  init(_ bytes: [UInt8], label: String) {
    self.bytes = bytes
    self.label = label
  }

  /// Bytes not read yet.
  var remaining: ArraySlice<UInt8> { bytes[offset...] }

  /// The place of a byte, by default of the next one.
  func place(_ position: Int? = nil) -> String { "\(label) byte \(position ?? offset)" }

  /// Skips what may stand between tokens: space, tab, line feed, carriage return.
  mutating func skipWhitespace() {
    while let byte = peek(), byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { offset += 1 }
  }

  /// The next byte after white space; nil at the end.
  mutating func nextByte() -> UInt8? {
    skipWhitespace()
    return peek()
  }

  /// Takes one punctuation byte.
  mutating func expect(_ byte: UInt8, _ what: String) throws(Refusal) {
    guard nextByte() == byte else { throw unexpected("expected \(what)") }
    offset += 1
  }

  /// Reads an object; `member` is called after each key's colon and must read the value.
  mutating func object(
    _ member: (inout JSONScanner, String) throws(Refusal) -> Void
  ) throws(Refusal) {
    try expect(UInt8(ascii: "{"), "'{'")
    guard nextByte() != UInt8(ascii: "}") else {
      offset += 1
      return
    }
    var keys = Keys()
    while true {
      skipWhitespace()
      let start = offset
      let key = try string("a key in quotation marks")
      guard keys.insert(key) else {
        throw invalid("S4", "has the key \(Refusal.quoted(key)) a second time in one object", at: start)
      }
      try expect(UInt8(ascii: ":"), "':'")
      try member(&self, key)
      guard nextByte() == UInt8(ascii: ",") else { break }
      offset += 1
    }
    try expect(UInt8(ascii: "}"), "',' or '}'")
  }

  /// Reads an array; `item` is called at each item and must read it.
  mutating func array(_ item: (inout JSONScanner) throws(Refusal) -> Void) throws(Refusal) {
    try expect(UInt8(ascii: "["), "'['")
    guard nextByte() != UInt8(ascii: "]") else {
      offset += 1
      return
    }
    while true {
      try item(&self)
      guard nextByte() == UInt8(ascii: ",") else { break }
      offset += 1
    }
    try expect(UInt8(ascii: "]"), "',' or ']'")
  }

  /// Reads a whole number from 0 to 2^53 − 1, written without sign, point or exponent.
  mutating func integer() throws(Refusal) -> Int {
    skipWhitespace()
    let start = offset
    var value = 0
    while let byte = peek(), isDigit(byte) {
      offset += 1
      guard let next = Checked.product(value, 10).flatMap({ Checked.sum($0, Int(byte) - 0x30) }),
        next < 1 << 53
      else { throw invalid("S5", "has a number above 2^53 - 1", at: start) }
      value = next
    }
    guard offset > start else {
      guard let byte = peek(), !isNumeric(byte) else {
        throw invalid("S5", "has a number with a sign or a point; only whole numbers from 0 are allowed")
      }
      throw unexpected("expected a whole number")
    }
    guard bytes[start] != 0x30 || offset == start + 1 else {
      throw invalid("S5", "has a number with a leading zero", at: start)
    }
    guard let byte = peek(), isNumeric(byte) else { return value }
    throw invalid("S5", "has a number with a point or an exponent; only whole numbers are allowed", at: start)
  }

  /// Reads a string: UTF-8 without control characters, escapes resolved.
  mutating func string(_ what: String = "text in quotation marks") throws(Refusal) -> String {
    try expect(UInt8(ascii: "\""), what)
    let start = offset
    var unescaped: [UInt8] = []
    var copied = start
    while let byte = peek(), byte != UInt8(ascii: "\"") {
      guard byte >= 0x20 else { throw invalid("S3", "has a control character inside a string") }
      guard byte == UInt8(ascii: "\\") else {
        offset += 1
        continue
      }
      unescaped.append(contentsOf: bytes[copied..<offset])
      try escape(into: &unescaped)
      copied = offset
    }
    guard peek() != nil else { throw invalid("S3", "ends inside a string", at: start) }
    let end = offset
    offset += 1
    guard copied > start else { return try text(bytes[start..<end], at: start) }
    unescaped.append(contentsOf: bytes[copied..<end])
    return try text(unescaped[...], at: start)
  }

  private func text(_ utf8: ArraySlice<UInt8>, at start: Int) throws(Refusal) -> String {
    guard let text = String(validating: utf8, as: UTF8.self) else {
      throw invalid("S3", "has a string that is not valid UTF-8", at: start)
    }
    return text
  }

  /// Skips a value of any kind.
  ///
  /// - Parameter depth: Levels of objects and arrays that may still open.
  mutating func skipValue(depth: Int) throws(Refusal) {
    switch nextByte() {
    case UInt8(ascii: "{") where depth > 0:
      try object { (scanner, _) throws(Refusal) in try scanner.skipValue(depth: depth - 1) }
    case UInt8(ascii: "[") where depth > 0:
      try array { (scanner) throws(Refusal) in try scanner.skipValue(depth: depth - 1) }
    case UInt8(ascii: "{"), UInt8(ascii: "["): throw invalid("L8", "is nested too deeply")
    case UInt8(ascii: "\""): _ = try string()
    case UInt8(ascii: "t"): try literal("true")
    case UInt8(ascii: "f"): try literal("false")
    case UInt8(ascii: "n"): try literal("null")
    default: try skipNumber()
    }
  }

  /// Reads a number of any form.
  mutating func number() throws(Refusal) -> Double {
    skipWhitespace()
    let start = offset
    try skipNumber()
    guard let value = Double(String(decoding: bytes[start..<offset], as: UTF8.self)), value.isFinite else {
      throw invalid("S5", "has a number beyond the range of a double", at: start)
    }
    return value
  }

  /// Reads `true` or `false`.
  mutating func boolean() throws(Refusal) -> Bool {
    let isTrue = nextByte() == UInt8(ascii: "t")
    try literal(isTrue ? "true" : "false")
    return isTrue
  }

  private func peek() -> UInt8? { offset < bytes.count ? bytes[offset] : nil }

  private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

  private func isNumeric(_ byte: UInt8) -> Bool {
    isDigit(byte) || byte == 0x2B || byte == 0x2D || byte == 0x2E || byte == 0x45 || byte == 0x65
  }

  private mutating func literal(_ word: String) throws(Refusal) {
    guard bytes[offset...].starts(with: word.utf8) else { throw unexpected("expected '\(word)'") }
    offset += word.utf8.count
  }

  /// Skips `-? (0|[1-9][0-9]*) (.[0-9]+)? ([eE][+-]?[0-9]+)?`.
  private mutating func skipNumber() throws(Refusal) {
    if peek() == UInt8(ascii: "-") { offset += 1 }
    let start = offset
    try skipDigits()
    guard bytes[start] != 0x30 || offset == start + 1 else {
      throw invalid("S5", "has a number with a leading zero", at: start)
    }
    if peek() == UInt8(ascii: ".") {
      offset += 1
      try skipDigits()
    }
    guard let mark = peek(), mark == UInt8(ascii: "e") || mark == UInt8(ascii: "E") else { return }
    offset += 1
    if let sign = peek(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { offset += 1 }
    try skipDigits()
  }

  private mutating func skipDigits() throws(Refusal) {
    guard let first = peek(), isDigit(first) else { throw unexpected("expected a value") }
    while let byte = peek(), isDigit(byte) { offset += 1 }
  }

  private mutating func escape(into result: inout [UInt8]) throws(Refusal) {
    let start = offset
    offset += 1
    guard let kind = peek() else { throw invalid("S3", "ends inside an escape sequence", at: start) }
    offset += 1
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(kind)
    case UInt8(ascii: "b"): result.append(0x08)
    case UInt8(ascii: "f"): result.append(0x0C)
    case UInt8(ascii: "n"): result.append(0x0A)
    case UInt8(ascii: "r"): result.append(0x0D)
    case UInt8(ascii: "t"): result.append(0x09)
    case UInt8(ascii: "u"): result.append(contentsOf: Array(String(try unicodeEscape(start)).utf8))
    default: throw invalid("S3", "has an unknown escape sequence", at: start)
    }
  }

  /// The character of `\uXXXX` or of a surrogate pair; the offset is behind the first `u`.
  private mutating func unicodeEscape(_ start: Int) throws(Refusal) -> Character {
    var code = try hexadecimal(start)
    if (0xD800..<0xDC00).contains(code) {
      guard peek() == UInt8(ascii: "\\"), offset + 1 < bytes.count, bytes[offset + 1] == UInt8(ascii: "u")
      else { throw invalid("S4", "has half of a surrogate pair", at: start) }
      offset += 2
      let low = try hexadecimal(start)
      guard (0xDC00..<0xE000).contains(low) else {
        throw invalid("S4", "has half of a surrogate pair", at: start)
      }
      code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
    }
    guard let scalar = Unicode.Scalar(code) else {
      throw invalid("S4", "has half of a surrogate pair", at: start)
    }
    guard code != 0 else { throw invalid("S3", "has a NUL character inside a string", at: start) }
    return Character(scalar)
  }

  private mutating func hexadecimal(_ start: Int) throws(Refusal) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw invalid("S3", "has an escape without four hexadecimal digits", at: start)
      }
      value = value << 4 | UInt32(digit)
      offset += 1
    }
    return value
  }

  private func unexpected(_ problem: String) -> Refusal {
    guard let byte = peek() else { return invalid("S3", "ends too early: \(problem)") }
    let found =
      (0x21...0x7E).contains(byte) ? "'\(Character(Unicode.Scalar(byte)))'" : "0x\(String(byte, radix: 16))"
    return invalid("S3", "is no JSON: \(problem), found \(found)")
  }

  /// A refusal at a byte, by default the next one.
  func invalid(_ rule: String, _ problem: String, at position: Int? = nil) -> Refusal {
    Refusal(.invalid, at: place(position), rule: rule, problem, remedy: Remedy.rewrite)
  }
}

/// The keys of an object: a list while they are few, as in the many small objects of a header, then a set.
private struct Keys {
  private var list: [String] = []
  private var set: Set<String> = []

  /// Whether the key is new.
  mutating func insert(_ key: String) -> Bool {
    guard set.isEmpty else { return set.insert(key).inserted }
    guard !list.contains(key) else { return false }
    list.append(key)
    if list.count > 8 { set = Set(list) }
    return true
  }
}

/// What a user can do about a file that breaks the format.
enum Remedy {
  static let rewrite = "the file is damaged or not made by a safetensors library; download or save it again"
}
