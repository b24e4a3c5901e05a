import BinaryIO
import GraphIR

extension OperatorTable {
  /// Operators that keep the elements and change the shape.
  static let shape = [
    OperatorEntry("Reshape", 2...2) { (node) throws(Refusal) in
      let x = try node.input(0)
      let shape = try node.input(1)
      let allowZero = try node.attributes.bool("allowzero") ?? false
      if let known = node.knownInts(shape) {
        try node.finish(.reshape(Reshape(shape: known, allowZero: allowZero)), [x])
      } else {
        try node.finish(.reshape(Reshape(allowZero: allowZero)), [x, shape])
      }
    },
    OperatorEntry("Flatten", 1...1) { (node) throws(Refusal) in
      try node.finish(.flatten(Flatten(axis: node.attributes.int("axis") ?? 1)), [node.input(0)])
    },
    OperatorEntry("Squeeze", 1...2) { (node) throws(Refusal) in
      let axes = try node.listAttribute("axes", operandSince: 13)
      try node.finish(.squeeze(Squeeze(axes: axes)), [node.input(0)])
    },
    OperatorEntry("Unsqueeze", 1...2) { (node) throws(Refusal) in
      guard let axes = try node.listAttribute("axes", operandSince: 13) else {
        throw NodeAttributes.refusal("axes", "is missing")
      }
      try node.finish(.unsqueeze(Unsqueeze(axes: axes)), [node.input(0)])
    },
    OperatorEntry("Transpose", 1...1) { (node) throws(Refusal) in
      let x = try node.input(0)
      let reversed = Array((0..<node.type(x).rank).reversed())
      try node.finish(.transpose(Transpose(perm: node.attributes.ints("perm") ?? reversed)), [x])
    },
    OperatorEntry("Expand", 2...2, since: 8) { (node) throws(Refusal) in
      let x = try node.input(0)
      let shape = try node.input(1)
      if let known = node.knownInts(shape) {
        try node.finish(.expand(Expand(shape: known)), [x])
      } else {
        try node.finish(.expand(Expand()), [x, shape])
      }
    },
  ]

  /// Operators that vanish.
  static let view = [
    OperatorEntry("Identity", 1...1) { (node) throws(Refusal) in node.alias(try node.input(0)) },
    OperatorEntry("Dropout", 1...3, outputs: 1...2, importDropout),
  ]

  /// Dropout does nothing in inference; exports with training preserved say so in an operand.
  private static func importDropout(_ node: inout NodeImporter) throws(Refusal) {
    node.attributes.ignore("ratio", "seed")
    if let mode = node.optional(2) {
      guard node.operatorSet >= 12, let isTraining = node.constant(mode)?.intValues()?.first else {
        throw node.notConstant("training mode")
      }
      let ratio = node.optional(1).flatMap { node.constant($0)?.floatValues()?.first } ?? 0.5
      guard isTraining == 0 || ratio == 0 else {
        throw node.unsupported(
          "it is in training mode, which makes the results random",
          remedy: "call model.eval() before the export"
        )
      }
    }
    node.alias(try node.input(0))
  }
}

extension NodeImporter {
  /// A list that is an attribute in older opsets and a constant operand since `operandSince`.
  mutating func listAttribute(_ name: String, operandSince: Int, index: Int = 1) throws(Refusal) -> [Int]? {
    guard operatorSet < operandSince else { return try constantInts(index, name) }
    guard node.inputs.count <= index else {
      throw refusal("O26", "has '\(name)' as an input before opset \(operandSince)")
    }
    return try attributes.ints(name)
  }
}
