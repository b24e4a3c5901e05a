import BinaryIO
import GraphIR

extension OperatorTable {
  /// Predicates and choice.
  static let comparison = [
    entry("Equal", .equal), entry("Less", .less), entry("LessOrEqual", .lessOrEqual, since: 12),
    entry("Greater", .greater), entry("GreaterOrEqual", .greaterOrEqual, since: 12),
    entry("And", .and), entry("Or", .or), entry("Xor", .xor),
    OperatorEntry("Where", 3...3, since: 9) { (node) throws(Refusal) in
      try node.finish(.where(Where()), node.inputs())
    },
  ]

  private static func entry(_ name: String, _ kind: Compare.Kind, since: Int = 7) -> OperatorEntry {
    OperatorEntry(name, 2...2, since: since) { (node) throws(Refusal) in
      try node.finish(.compare(Compare(kind)), node.inputs())
    }
  }
}
