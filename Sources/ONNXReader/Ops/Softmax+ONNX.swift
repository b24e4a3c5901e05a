import BinaryIO
import GraphIR

extension OperatorTable {
  /// Normalised exponentials.
  static let softmax = [
    OperatorEntry("Softmax", 1...1) { (node) throws(Refusal) in try importSoftmax(&node, isLog: false) },
    OperatorEntry("LogSoftmax", 1...1) { (node) throws(Refusal) in try importSoftmax(&node, isLog: true) },
  ]

  /// Up to opset 12 all axes from `axis` on count as one.
  private static func importSoftmax(_ node: inout NodeImporter, isLog: Bool) throws(Refusal) {
    let x = try node.input(0)
    let given = try node.attributes.int("axis")
    guard node.operatorSet < 13 else {
      return try node.finish(.softmax(Softmax(axis: given ?? -1, isLog: isLog)), [x])
    }
    let type = node.type(x)
    let axis = given ?? 1
    guard (-type.rank...type.rank).contains(axis) else {
      throw NodeAttributes.refusal("axis", "is \(axis), the input is \(type)")
    }
    let first = axis < 0 ? axis + type.rank : axis
    if first < type.rank, type.dims[(first + 1)...].allSatisfy({ $0 == 1 }) {
      return try node.finish(.softmax(Softmax(axis: first, isLog: isLog)), [x])
    }
    let flat = try node.emit(.flatten(Flatten(axis: first)), [x], "flat")
    let result = try node.emit(.softmax(Softmax(axis: 1, isLog: isLog)), [flat], "softmax")
    let shape = try node.emit(.shape(ShapeOf()), [x], "shape")
    if let known = node.knownInts(shape) {
      try node.finish(.reshape(Reshape(shape: known, allowZero: true)), [result])
    } else {
      try node.finish(.reshape(Reshape(allowZero: true)), [result, shape])
    }
  }
}
