import BinaryIO
import GraphIR

extension OperatorTable {
  /// Pointwise functions with parameters, and conversions.
  static let activation = [
    OperatorEntry("Clip", 1...3, since: 6, importClip),
    OperatorEntry("HardSigmoid", 1...1) { (node) throws(Refusal) in
      let op = HardSigmoid(
        alpha: try node.attributes.float("alpha") ?? 0.2,
        beta: try node.attributes.float("beta") ?? 0.5
      )
      try node.finish(.hardSigmoid(op), [node.input(0)])
    },
    OperatorEntry("LeakyRelu", 1...1) { (node) throws(Refusal) in
      let op = LeakyRelu(alpha: try node.attributes.float("alpha") ?? 0.01)
      try node.finish(.leakyRelu(op), [node.input(0)])
    },
    OperatorEntry("Elu", 1...1) { (node) throws(Refusal) in
      try node.finish(.elu(Elu(alpha: node.attributes.float("alpha") ?? 1)), [node.input(0)])
    },
    OperatorEntry("Selu", 1...1) { (node) throws(Refusal) in
      let op = Elu(
        alpha: try node.attributes.float("alpha") ?? 1.6732632,
        scale: try node.attributes.float("gamma") ?? 1.050701
      )
      try node.finish(.elu(op), [node.input(0)])
    },
    OperatorEntry("Celu", 1...1, since: 12, importCelu),
    OperatorEntry("Gelu", 1...1, since: 20, importGelu),
    OperatorEntry("PRelu", 2...2) { (node) throws(Refusal) in
      try node.finish(.prelu(Prelu()), node.inputs())
    },
    OperatorEntry("Cast", 1...1) { (node) throws(Refusal) in
      // It concerns float8 only.
      node.attributes.ignore("saturate")
      let dtype = try TensorDecoder.dtype(node.attributes.int("to"))
      try node.cast(node.input(0), to: dtype)
    },
    OperatorEntry("CastLike", 2...2, since: 15) { (node) throws(Refusal) in
      node.attributes.ignore("saturate")
      try node.cast(node.input(0), to: node.type(node.input(1)).dtype)
    },
  ]

  /// `x < 0 ? alpha·(exp(x / alpha) - 1) : x`.
  private static func importCelu(_ node: inout NodeImporter) throws(Refusal) {
    let x = try node.input(0)
    let alpha = try node.attributes.float("alpha") ?? 1
    guard alpha != 1 else { return try node.finish(.elu(Elu()), [x]) }
    let divisor = node.make(try Tensor.floats([alpha], []), "alpha")
    let divided = try node.emit(.binary(Binary(.div)), [x, divisor], "divided")
    try node.finish(.elu(Elu(scale: alpha)), [divided])
  }

  private static func importGelu(_ node: inout NodeImporter) throws(Refusal) {
    let approximate = try node.attributes.string("approximate") ?? "none"
    guard approximate == "none" || approximate == "tanh" else {
      throw NodeAttributes.refusal("approximate", "is \(Refusal.quoted(approximate)), must be none or tanh")
    }
    try node.finish(.gelu(Gelu(isTanh: approximate == "tanh")), [node.input(0)])
  }

  /// Bounds are attributes up to opset 10, then operands; bounds that are not constant become minimum and maximum.
  private static func importClip(_ node: inout NodeImporter) throws(Refusal) {
    let x = try node.input(0)
    if node.operatorSet < 11 {
      let lower = try node.attributes.float("min") ?? -.infinity
      let upper = try node.attributes.float("max") ?? .infinity
      guard node.node.inputs.count == 1 else {
        throw node.refusal("O26", "has bounds as inputs before opset 11")
      }
      return try node.finish(.clip(Clip(min: lower, max: upper)), [x])
    }
    let bounds = [node.optional(1), node.optional(2)]
    let known = bounds.map { bound in
      bound.map { node.type($0).dtype.isFloatingPoint ? node.constant($0)?.floatValues()?.first : nil }
    }
    if known.allSatisfy({ $0 == nil || $0 != .some(nil) }) {
      let lower = known[0]?.flatMap { $0 } ?? -.infinity
      let upper = known[1]?.flatMap { $0 } ?? .infinity
      return try node.finish(.clip(Clip(min: lower, max: upper)), [x])
    }
    switch (bounds[0], bounds[1]) {
    case (let lower?, let upper?):
      let raised = try node.emit(.binary(Binary(.max)), [x, lower], "max")
      try node.finish(.binary(Binary(.min)), [raised, upper])
    case (let lower?, nil): try node.finish(.binary(Binary(.max)), [x, lower])
    case (nil, let upper?): try node.finish(.binary(Binary(.min)), [x, upper])
    case (nil, nil): node.alias(x)
    }
  }
}

extension NodeImporter {
  /// A conversion, which vanishes when the operand has the type already.
  func cast(_ x: Operand, to dtype: DType) throws(Refusal) {
    if type(x).dtype == dtype { alias(x) } else { try finish(.cast(Cast(to: dtype)), [x]) }
  }
}
