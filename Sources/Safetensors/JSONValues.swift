package import BinaryIO

/// The scalars of a JSON text under the paths that lead to them: `size.height`, `image_mean.0`.
package struct JSONValues: Sendable {
  package enum Scalar: Hashable, Sendable {
    case number(Double)
    case text(String)
    case flag(Bool)
  }

  private var scalars: [String: Scalar] = [:]

  /// No values.
  package init() {}

  /// Most bytes of a text.
  package static let sizeLimit = 16 << 20
  private static let depthLimit = 8

  /// Reads a whole text; `null` counts as absent.
  ///
  /// - Parameters:
  ///   - bytes: UTF-8.
  ///   - label: What the text is called in refusals.
  /// - Throws: A refusal for anything but one JSON value with unique keys.
  package init(_ bytes: ByteSlice, label: String) throws(Refusal) {
    let text = bytes.withBytes { span in unsafe span.withUnsafeBytes { unsafe Array($0) } }
    var scanner = JSONScanner(text, label: label)
    try read(&scanner, path: "", depth: JSONValues.depthLimit)
    guard scanner.nextByte() == nil else { throw scanner.invalid("S3", "has text behind its value") }
  }

  package subscript(path: String) -> Scalar? { scalars[path] }

  /// The number at a path, if there is one.
  package func number(_ path: String) -> Double? {
    guard case .number(let value)? = scalars[path] else { return nil }
    return value
  }

  /// The text at a path, if there is one.
  package func text(_ path: String) -> String? {
    guard case .text(let value)? = scalars[path] else { return nil }
    return value
  }

  /// Whether the value at a path is `true`.
  package func isTrue(_ path: String) -> Bool { scalars[path] == .flag(true) }

  /// The numbers `path.0`, `path.1`, ...
  package func numbers(_ path: String) -> [Double] {
    var result: [Double] = []
    while let value = number("\(path).\(result.count)") { result.append(value) }
    return result
  }

  private mutating func read(_ scanner: inout JSONScanner, path: String, depth: Int) throws(Refusal) {
    func inner(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
    switch scanner.nextByte() {
    case UInt8(ascii: "{"):
      guard depth > 0 else { throw scanner.invalid("L8", "is nested too deeply") }
      try scanner.object { (scanner, key) throws(Refusal) in
        try self.read(&scanner, path: inner(key), depth: depth - 1)
      }
    case UInt8(ascii: "["):
      guard depth > 0 else { throw scanner.invalid("L8", "is nested too deeply") }
      var index = 0
      try scanner.array { (scanner) throws(Refusal) in
        try self.read(&scanner, path: inner("\(index)"), depth: depth - 1)
        index += 1
      }
    case UInt8(ascii: "\""): scalars[path] = .text(try scanner.string())
    case UInt8(ascii: "t"), UInt8(ascii: "f"): scalars[path] = .flag(try scanner.boolean())
    case UInt8(ascii: "n"): try scanner.skipValue(depth: 0)
    default: scalars[path] = .number(try scanner.number())
    }
  }
}
