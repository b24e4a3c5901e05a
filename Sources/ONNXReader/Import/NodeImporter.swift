import BinaryIO
import GraphIR

/// What the import of one node works with: its attributes, operands and results.
struct NodeImporter {
  var attributes: NodeAttributes
  let node: Proto.Node
  private let importer: Importer

  init(_ importer: Importer, _ node: Proto.Node) throws(Refusal) {
    self.importer = importer
    self.node = node
    attributes = try NodeAttributes(node.attributes)
  }

  /// Version of the default operator set.
  var operatorSet: Int { importer.operatorSet }

  // MARK: Operands

  /// The operand at `index`; nil when it is absent.
  func optional(_ index: Int) -> Operand? {
    index < node.inputs.count ? importer.operand(node.inputs[index]) : nil
  }

  /// Whether the operand at `index` is a constant whose numbers have 4 bits in the file.
  func isFourBit(_ index: Int) -> Bool { importer.isFourBit(node.inputs[index]) }

  /// The operand at `index`, which must be given.
  func input(_ index: Int) throws(Refusal) -> Operand {
    guard let operand = optional(index) else { throw refusal("O26", "input \(index) is missing") }
    return operand
  }

  /// All operands, each of which must be given.
  func inputs() throws(Refusal) -> [Operand] {
    var result: [Operand] = []
    for index in node.inputs.indices { result.append(try input(index)) }
    return result
  }

  func type(_ operand: Operand) -> TensorType { importer.type(of: operand) }

  /// The elements, if the operand is a constant.
  func constant(_ operand: Operand?) -> Tensor? {
    guard case .constant(_, let tensor)? = operand else { return nil }
    return tensor
  }

  /// The elements of an integer operand, if all are known.
  func knownInts(_ operand: Operand) -> [Int]? {
    guard let dims = importer.info(operand).shapeValue else { return listed(operand)?.intValues() }
    let values = dims.compactMap(\.value)
    return values.count == dims.count ? values : nil
  }

  /// The elements of an integer operand as far as they are known.
  func shapeValue(_ operand: Operand) -> [Dim]? { importer.info(operand).shapeValue }

  /// The elements of an optional integer operand that must be constant.
  func constantInts(_ index: Int, _ name: String) throws(Refusal) -> [Int]? {
    guard let operand = optional(index) else { return nil }
    guard let values = knownInts(operand) else { throw notConstant(name) }
    return values
  }

  /// The elements of an optional number operand that must be constant.
  func constantFloats(_ index: Int, _ name: String) throws(Refusal) -> [Float]? {
    guard let operand = optional(index) else { return nil }
    guard let values = listed(operand)?.floatValues() else { throw notConstant(name) }
    return values
  }

  /// A constant that is short enough to be the list of an attribute (L6).
  private func listed(_ operand: Operand) -> Tensor? {
    guard let tensor = constant(operand), tensor.count <= Limits.standard.attributeItems else { return nil }
    return tensor
  }

  /// The operator that makes an operand, if a node does.
  func producer(of operand: Operand) -> Node? { importer.producer(of: operand) }

  /// An operand that is a value already.
  func operand(_ id: ValueID) -> Operand {
    let value = importer.graph[id]
    return value.constant.map { .constant(value.name, $0) } ?? .value(id)
  }

  // MARK: Results

  /// Appends an operator whose first results are the node's outputs.
  func finish(_ op: Op, _ inputs: [Operand?], outputs: Int = 1) throws(Refusal) {
    let names = (0..<outputs).map { index in
      let own = index < node.outputs.count ? node.outputs[index] : ""
      return own.isEmpty ? freshName("\(index)") : own
    }
    let results = try importer.emit(op, trimmed(inputs), name: node.name, outputs: names)
    for (name, result) in zip(names, results) { importer.define(name, result) }
  }

  /// Appends an operator whose result is the node's output at `index`.
  func finish(_ op: Op, _ inputs: [Operand?], output index: Int) throws(Refusal) {
    guard !node.outputs[index].isEmpty else { return }
    let results = try importer.emit(op, trimmed(inputs), name: node.name, outputs: [node.outputs[index]])
    importer.define(node.outputs[index], results[0])
  }

  /// Appends an operator whose result only this node uses.
  func emit(_ op: Op, _ inputs: [Operand?], _ suffix: String) throws(Refusal) -> Operand {
    try emitAll(op, inputs, [suffix])[0]
  }

  /// Appends an operator whose results only this node uses.
  func emitAll(_ op: Op, _ inputs: [Operand?], _ suffixes: [String]) throws(Refusal) -> [Operand] {
    try importer.emit(op, trimmed(inputs), name: node.name, outputs: suffixes.map(freshName))
  }

  /// A constant that only this node uses.
  func make(_ tensor: Tensor, _ suffix: String) -> Operand { .constant(freshName(suffix), tensor) }

  /// A new name that begins like the node's first result.
  private func freshName(_ suffix: String) -> String {
    importer.freshName("\(node.outputs.first { !$0.isEmpty } ?? "")_\(suffix)")
  }

  private func trimmed(_ inputs: [Operand?]) -> [Operand?] {
    Array(inputs.prefix((inputs.lastIndex { $0 != nil } ?? -1) + 1))
  }

  /// Lets the output at `index` stand for an operand, without a node.
  func alias(_ operand: Operand, output index: Int = 0) {
    if index < node.outputs.count { importer.define(node.outputs[index], operand) }
  }

  /// Lets the first output stand for a constant.
  func define(_ tensor: Tensor) {
    if let name = node.outputs.first { importer.define(name, .constant(name, tensor)) }
  }

  /// The constant of a tensor attribute.
  func decode(_ tensor: Proto.Tensor) throws(Refusal) -> Tensor { try importer.decode(tensor) }

  // MARK: Refusing

  func refusal(_ rule: String, _ problem: String) -> Refusal {
    Refusal(.invalid, at: "", rule: rule, problem, remedy: "correct the model in its exporter")
  }

  func unsupported(_ problem: String, remedy: String = "export the model without it") -> Refusal {
    Refusal(.unsupported, at: "", rule: "O29", problem, remedy: remedy)
  }

  func notConstant(_ name: String) -> Refusal {
    unsupported(
      "its \(name) is computed at run time, which is not supported",
      remedy: "export the model with constant folding and fixed input sizes"
    )
  }
}
