/// What a pass tells about one place: what it did, or why it did not.
public struct Remark: Hashable, Sendable, CustomStringConvertible {
  /// How a reader should take it.
  public enum Kind: String, Hashable, Sendable {
    /// A rewrite happened.
    case applied
    /// A rewrite did not happen, for the reason given.
    case missed
    /// The model is affected in a way the user should know.
    case warning
  }

  public let kind: Kind
  /// The pass, by its kebab-case name.
  public let pass: String
  /// The node or value, such as `node "stem/bn" (batch_norm)`.
  public let place: String
  public let text: String

  public var description: String { "\(kind.rawValue): \(pass): \(place): \(text)" }
}
