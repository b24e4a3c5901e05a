import BinaryIO
import GraphIR

extension OperatorTable {
  /// Pointwise functions of two and more operands.
  static let binary = [
    pair("Add", .add), pair("Sub", .sub), pair("Mul", .mul), pair("Div", .div),
    list("Sum", .add), list("Min", .min), list("Max", .max),
    OperatorEntry("Mean", 1...65_536, importMean),
    OperatorEntry("Pow", 2...2, importPow),
    OperatorEntry("Mod", 2...2, since: 10) { (node) throws(Refusal) in
      try node.attributes.expect("fmod", 0)
      try node.finish(.binary(Binary(.mod)), node.inputs())
    },
  ]

  private static func pair(_ name: String, _ kind: Binary.Kind) -> OperatorEntry {
    OperatorEntry(name, 2...2, since: 7) { (node) throws(Refusal) in
      try node.finish(.binary(Binary(kind)), node.inputs())
    }
  }

  /// Any number of operands, taken two at a time from the left.
  private static func list(_ name: String, _ kind: Binary.Kind) -> OperatorEntry {
    OperatorEntry(name, 1...65_536) { (node) throws(Refusal) in
      let inputs = try node.inputs()
      guard inputs.count > 1 else { return node.alias(inputs[0]) }
      var result = inputs[0]
      for operand in inputs[1..<(inputs.count - 1)] {
        result = try node.emit(.binary(Binary(kind)), [result, operand], kind.rawValue)
      }
      try node.finish(.binary(Binary(kind)), [result, inputs[inputs.count - 1]])
    }
  }

  private static func importMean(_ node: inout NodeImporter) throws(Refusal) {
    let inputs = try node.inputs()
    guard inputs.count > 1 else { return node.alias(inputs[0]) }
    var sum = inputs[0]
    for operand in inputs[1...] { sum = try node.emit(.binary(Binary(.add)), [sum, operand], "sum") }
    let count = node.make(try Tensor.floats([Float(inputs.count)], []), "count")
    try node.finish(.binary(Binary(.div)), [sum, count])
  }

  /// The exponent may have another type than the base; it is converted.
  private static func importPow(_ node: inout NodeImporter) throws(Refusal) {
    let x = try node.input(0)
    var exponent = try node.input(1)
    let dtype = node.type(x).dtype
    if node.type(exponent).dtype != dtype {
      guard dtype.isFloatingPoint else {
        throw node.unsupported("an integer is raised to a \(node.type(exponent).dtype.name) power")
      }
      if dtype == .float32, let tensor = node.constant(exponent), let values = tensor.floatValues() {
        exponent = node.make(try Tensor.floats(values, tensor.shape), "exponent")
      } else {
        exponent = try node.emit(.cast(Cast(to: dtype)), [exponent], "exponent")
      }
    }
    try node.finish(.binary(Binary(.pow)), [x, exponent])
  }
}
