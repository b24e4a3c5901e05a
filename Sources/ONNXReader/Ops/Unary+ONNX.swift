import BinaryIO
import GraphIR

extension OperatorTable {
  /// Pointwise functions without attributes.
  static let unary = [
    entry("Relu", .relu), entry("Sigmoid", .sigmoid), entry("HardSwish", .hardSwish, since: 14),
    entry("Tanh", .tanh), entry("Erf", .erf, since: 9), entry("Exp", .exp), entry("Log", .log),
    entry("Sqrt", .sqrt), entry("Reciprocal", .reciprocal), entry("Neg", .neg), entry("Abs", .abs),
    entry("Floor", .floor), entry("Ceil", .ceil), entry("Round", .round, since: 11),
    entry("Sign", .sign, since: 9), entry("Sin", .sin), entry("Cos", .cos), entry("Softplus", .softplus),
    entry("Not", .not),
  ]

  private static func entry(_ name: String, _ kind: Unary.Kind, since: Int = 1) -> OperatorEntry {
    OperatorEntry(name, 1...1, since: since) { (node) throws(Refusal) in
      try node.finish(.unary(Unary(kind)), [node.input(0)])
    }
  }
}
