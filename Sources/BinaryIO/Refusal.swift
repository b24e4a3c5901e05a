/// The one error type of the package: why something was refused, where, under which rule, and what to do.
///
/// Printed as one line: `FILE: PLACE: PROBLEM [RULE]; REMEDY`. Text that comes from a file is escaped and
/// cut, so that a hostile name cannot break the line or the terminal.
public struct Refusal: Error, Hashable, Sendable, CustomStringConvertible {
  /// The class of a refusal, for callers that branch.
  public enum Kind: String, Hashable, Sendable {
    /// The input cannot be opened or read.
    case unreadable
    /// The input breaks a rule of its format.
    case invalid
    /// The input is valid, but outside of what qconvert does.
    case unsupported
    /// A resource limit was reached.
    case limit
    /// The output cannot be written.
    case output
    /// The caller asked for something contradictory.
    case usage
    /// The user stopped the work.
    case interrupted
  }

  public var kind: Kind
  /// The file it is about, as the user named it; nil until the level that knows it fills it in.
  public var file: String?
  /// A byte offset, a tensor or a node, such as `node "stem/conv" (conv)`.
  public var place: String
  /// Identifier of the rule, such as `O33`.
  public var rule: String
  /// What was found and what was expected.
  public var problem: String
  /// What the user can do about it.
  public var remedy: String

  public init(
    _ kind: Kind,
    file: String? = nil,
    at place: String,
    rule: String,
    _ problem: String,
    remedy: String
  ) {
    self.kind = kind
    self.file = file
    self.place = place
    self.rule = rule
    self.problem = problem
    self.remedy = remedy
  }

  public var description: String {
    let parts = [
      file.map { Refusal.printable($0, limit: 400) }, place.isEmpty ? nil : place, "\(problem) [\(rule)]",
    ]
    return parts.compactMap { $0 }.joined(separator: ": ") + (remedy.isEmpty ? "" : "; \(remedy)")
  }

  /// The same refusal with the file filled in where none is named yet.
  public func inFile(_ name: String) -> Refusal {
    var copy = self
    copy.file = file ?? name
    return copy
  }

  /// The same refusal with an outer place put before its own.
  public func at(_ outer: String) -> Refusal {
    var copy = self
    copy.place = place.isEmpty ? outer : "\(outer), \(place)"
    return copy
  }

  /// Text from a file, safe to print: control characters escaped, at most `limit` characters.
  public static func printable(_ text: String, limit: Int = 80) -> String {
    var result = ""
    for scalar in text.unicodeScalars.prefix(limit) {
      if scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value)
        || scalar.properties.generalCategory == .format
        || scalar.properties.generalCategory == .lineSeparator
        || scalar.properties.generalCategory == .paragraphSeparator
      {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return text.unicodeScalars.count > limit ? result + "…" : result
  }

  /// `text` in quotation marks, safe to print.
  public static func quoted(_ text: String) -> String { "\"\(printable(text))\"" }
}
