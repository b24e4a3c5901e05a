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
    entry("Mish", .mish, since: 18), entry("Not", .not),
    OperatorEntry("IsNaN", 1...1, since: 9) { (node) throws(Refusal) in
      let x = try node.input(0)
      let same = try node.emit(.compare(Compare(.equal)), [x, x], "same")
      try node.finish(.unary(Unary(.not)), [same])
    },
    OperatorEntry("Softsign", 1...1) { (node) throws(Refusal) in
      let x = try node.input(0)
      let magnitude = try node.emit(.unary(Unary(.abs)), [x], "abs")
      let one = node.make(try Tensor.floats([1], []), "one")
      let divisor = try node.emit(.binary(Binary(.add)), [magnitude, one], "divisor")
      try node.finish(.binary(Binary(.div)), [x, divisor])
    },
  ]

  private static func entry(_ name: String, _ kind: Unary.Kind, since: Int = 1) -> OperatorEntry {
    OperatorEntry(name, 1...1, since: since) { (node) throws(Refusal) in
      try node.finish(.unary(Unary(kind)), [node.input(0)])
    }
  }
}
