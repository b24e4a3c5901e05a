import BinaryIO
import GraphIR

extension OperatorTable {
  /// Constants and what is made from shapes.
  static let constants = [
    OperatorEntry("Constant", 0...0, importConstant),
    OperatorEntry("ConstantOfShape", 1...1, since: 9, importConstantOfShape),
    OperatorEntry("Shape", 1...1) { (node) throws(Refusal) in
      let x = try node.input(0)
      var op = ShapeOf()
      if node.operatorSet >= 15 {
        op = ShapeOf(start: try node.attributes.int("start") ?? 0, end: try node.attributes.int("end"))
      }
      try node.finish(.shape(op), [x])
    },
    OperatorEntry("Size", 1...1) { (node) throws(Refusal) in
      let shape = try node.emit(.shape(ShapeOf()), [node.input(0)], "shape")
      try node.finish(.reduce(Reduce(.prod, axes: [0], keepDims: false)), [shape])
    },
    OperatorEntry("Range", 3...3, since: 11) { (node) throws(Refusal) in
      try node.finish(.range(RangeOp()), node.inputs())
    },
  ]

  /// Exactly one attribute holds the value.
  private static func importConstant(_ node: inout NodeImporter) throws(Refusal) {
    var found: [Tensor] = []
    if let value = try node.attributes.tensor("value") { found.append(try node.decode(value)) }
    if let value = try node.attributes.float("value_float") { found.append(try Tensor.floats([value], [])) }
    if let values = try node.attributes.floats("value_floats") { found.append(try Tensor.floats(values)) }
    if let value = try node.attributes.int("value_int") { found.append(try Tensor.int64s([value], [])) }
    if let values = try node.attributes.ints("value_ints") { found.append(try Tensor.int64s(values)) }
    for name in ["value_string", "value_strings", "sparse_value"] where node.attributes.contains(name) {
      throw NodeAttributes.unsupported(name, "holds strings or a sparse tensor")
    }
    guard found.count == 1 else {
      throw node.refusal("O27", "has \(found.count) values, must have one")
    }
    node.define(found[0])
  }

  private static func importConstantOfShape(_ node: inout NodeImporter) throws(Refusal) {
    var op = ConstantOfShape(dtype: .float32)
    if let value = try node.attributes.tensor("value") {
      let tensor = try node.decode(value)
      guard tensor.count == 1 else { throw NodeAttributes.refusal("value", "must have one element") }
      let number = tensor.floatValues()?.first ?? tensor.intValues()?.first.map { Float($0) } ?? 0
      if let exact = tensor.intValues()?.first, Int(exactly: number) != exact {
        throw NodeAttributes.unsupported("value", "is \(exact), which a 32 bit float cannot hold")
      }
      op = ConstantOfShape(dtype: tensor.dtype, value: number)
    }
    try node.finish(.constantOfShape(op), [node.input(0)])
  }
}
