internal import BinaryIO

/// A piece of the text form.
enum Token: Hashable {
  /// A keyword, an operator, an attribute or a symbol.
  case word(Substring)
  /// `%` with the name of a value.
  case value(String)
  /// `@` with the name of the graph.
  case graph(String)
  case string(String)
  /// A number as it is written; `inf` and `nan` are words, `-inf` is a number.
  case number(Substring)
  /// One of `{ } [ ] ( ) , : = ?`.
  case mark(Character)
  case end

  /// What it is called in a message.
  var description: String {
    switch self {
    case .word(let text), .number(let text): "'\(Refusal.printable(String(text)))'"
    case .value(let name): "value \(Refusal.quoted(name))"
    case .graph(let name): "graph name \(Refusal.quoted(name))"
    case .string(let text): "string \(Refusal.quoted(text))"
    case .mark(let mark): "'\(mark)'"
    case .end: "the end of the text"
    }
  }
}

/// Cuts `.qir` text into tokens in one pass.
///
/// White space and `//` comments separate tokens and mean nothing else.
struct Lexer {
  private let bytes: Substring.UTF8View
  private let whole: Substring
  private var position: Substring.Index
  /// Where the token that was read last begins.
  private(set) var start: Substring.Index
  private let limits: Limits

  init(_ text: String, limits: Limits) {
    var text = text
    text.makeContiguousUTF8()
    whole = text[...]
    bytes = whole.utf8
    position = whole.startIndex
    start = position
    self.limits = limits
  }

  static func isNameByte(_ byte: UInt8) -> Bool { isWordByte(byte) || byte == UInt8(ascii: ".") }

  static func isWordStart(_ byte: UInt8) -> Bool { isWordByte(byte) && !isDigit(byte) }

  static func isWordByte(_ byte: UInt8) -> Bool {
    isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
      || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) || byte == UInt8(ascii: "_")
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  /// Everything a number may hold; which of it is a number is decided by whoever converts it.
  private static func isNumberByte(_ byte: UInt8) -> Bool {
    isNameByte(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
  }

  /// The next token.
  ///
  /// - Throws: A refusal when no token begins here, or a string is not closed or badly escaped.
  mutating func next() throws(Refusal) -> Token {
    skipSpace()
    start = position
    guard let byte = peek() else { return .end }
    switch byte {
    case UInt8(ascii: "%"):
      advance()
      return .value(try sigilName())
    case UInt8(ascii: "@"):
      advance()
      return .graph(try sigilName())
    case UInt8(ascii: "\""):
      return .string(try string())
    case UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "("),
      UInt8(ascii: ")"), UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "="), UInt8(ascii: "?"):
      advance()
      return .mark(Character(Unicode.Scalar(byte)))
    default:
      if Lexer.isWordStart(byte) { return .word(take(while: Lexer.isWordByte)) }
      if Lexer.isNumberByte(byte) { return .number(take(while: Lexer.isNumberByte)) }
      throw refusal("a byte 0x\(String(byte, radix: 16)) begins nothing", at: start)
    }
  }

  /// A refusal at a place of the text, given as line and column (in bytes), each from 1.
  func refusal(_ problem: String, at index: Substring.Index) -> Refusal {
    var line = 1
    var column = 1
    for byte in bytes[..<index] {
      column += 1
      if byte == UInt8(ascii: "\n") {
        line += 1
        column = 1
      }
    }
    return Refusal(
      .invalid,
      at: "graph text \(line):\(column)",
      rule: "QIR1",
      problem,
      remedy: "write the file again with qconvert, or correct the text"
    )
  }

  private func peek() -> UInt8? { position < bytes.endIndex ? bytes[position] : nil }

  private mutating func advance() { position = bytes.index(after: position) }

  private mutating func take(while predicate: (UInt8) -> Bool) -> Substring {
    let first = position
    while let byte = peek(), predicate(byte) { advance() }
    return whole[first..<position]
  }

  private mutating func skipSpace() {
    while let byte = peek() {
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\t"), UInt8(ascii: "\r"): advance()
      case UInt8(ascii: "/"):
        let following = bytes.index(after: position)
        guard following < bytes.endIndex, bytes[following] == UInt8(ascii: "/") else { return }
        while let byte = peek(), byte != UInt8(ascii: "\n") { advance() }
      default: return
      }
    }
  }

  /// The name after a sigil, plain or quoted.
  private mutating func sigilName() throws(Refusal) -> String {
    let name = peek() == UInt8(ascii: "\"") ? try string() : String(take(while: Lexer.isNameByte))
    guard !name.isEmpty else { throw refusal("a name is empty", at: start) }
    guard name.utf8.count <= limits.nameBytes else {
      throw refusal("a name has \(name.utf8.count) bytes, at most \(limits.nameBytes) are allowed", at: start)
    }
    return name
  }

  private mutating func string() throws(Refusal) -> String {
    let opening = position
    advance()
    var result = ""
    while let byte = peek() {
      switch byte {
      case UInt8(ascii: "\""):
        advance()
        return result
      case UInt8(ascii: "\\"):
        result.unicodeScalars.append(try escape())
      case 0..<0x20, 0x7F:
        throw refusal("a string holds the control character 0x\(String(byte, radix: 16))", at: position)
      default:
        result += take(while: {
          $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") && $0 >= 0x20 && $0 != 0x7F
        })
      }
    }
    throw refusal("a string is not closed", at: opening)
  }

  private mutating func escape() throws(Refusal) -> Unicode.Scalar {
    let backslash = position
    advance()
    guard let byte = peek() else { throw refusal("a string ends in a backslash", at: backslash) }
    advance()
    switch byte {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      guard peek() == UInt8(ascii: "{") else { break }
      advance()
      let digits = take(while: Lexer.isWordByte)
      guard peek() == UInt8(ascii: "}"), let value = UInt32(digits, radix: 16),
        let scalar = Unicode.Scalar(value)
      else { break }
      advance()
      return scalar
    default: break
    }
    throw refusal("an escape is none of \\\" \\\\ \\n \\r \\t \\u{...}", at: backslash)
  }
}
