import BinaryIO
import GraphIR

/// Turns one node of a graph into ONNX nodes; operators have their rules in `Ops`.
struct NodeExporter {
  let exporter: GraphExporter
  let id: NodeID

  var graph: Graph { exporter.graph }
  var node: Node { exporter.graph[id] }

  init(_ exporter: GraphExporter, _ id: NodeID) {
    self.exporter = exporter
    self.id = id
  }

  // Operands

  /// Whether an operand is given.
  func has(_ index: Int) -> Bool { index < node.inputs.count && node.inputs[index] != nil }

  /// The value of an operand that the validator has seen to be given.
  func value(_ index: Int) -> Value { graph[node.inputs[index] ?? ValueID(0)] }

  func type(_ index: Int) -> TensorType { value(index).type }

  /// The name of an operand, empty for an absent one.
  func input(_ index: Int) -> String {
    guard index < node.inputs.count, let id = node.inputs[index] else { return "" }
    return exporter.use(id)
  }

  /// The names of all operands.
  func inputs() -> [String] { node.inputs.indices.map { input($0) } }

  func constant(_ tensor: Tensor, _ suffix: String) -> String {
    let name = local(suffix)
    exporter.add(ONNXConstant(name, tensor))
    return name
  }

  func constant(_ elementType: Int, _ dims: [Int], _ bytes: ByteSlice, _ suffix: String) -> String {
    let name = local(suffix)
    exporter.add(ONNXConstant(name: name, elementType: elementType, dims: dims, bytes: bytes))
    return name
  }

  func ints(_ values: [Int], _ suffix: String) throws(Refusal) -> String {
    constant(try Tensor.int64s(values), suffix)
  }

  /// A number as a scalar of an element type.
  func scalar(_ number: Float, _ dtype: DType, _ suffix: String) throws(Refusal) -> String {
    let float = constant(try Tensor.floats([number], []), suffix)
    return dtype == .float32 ? float : cast(float, to: dtype, suffix)
  }

  func cast(_ x: String, to dtype: DType, _ suffix: String) -> String {
    emit("Cast", [x], suffix, Attributes(("to", .int(Int(dtype.rawValue)))))
  }

  // Results

  /// Appends a node with a result that only further nodes use.
  func emit(
    _ opType: String,
    _ inputs: [String],
    _ suffix: String,
    _ attributes: Attributes = Attributes()
  ) -> String {
    let name = local(suffix)
    add(opType, inputs, [name], attributes)
    return name
  }

  /// Appends the node that makes the results, followed by a fused activation.
  func finish(
    _ opType: String,
    _ inputs: [String],
    _ attributes: Attributes = Attributes(),
    _ activation: Activation = .none
  ) throws(Refusal) {
    let outputs = node.outputs.map { graph[$0].name }
    guard activation != .none else { return add(opType, inputs, outputs, attributes) }
    let bare = emit(opType, inputs, "linear", attributes)
    try finish(activation, bare)
  }

  /// Appends a node with results of these names.
  func add(
    _ opType: String,
    _ inputs: [String],
    _ outputs: [String],
    _ attributes: Attributes = Attributes()
  ) {
    let end = inputs.lastIndex { !$0.isEmpty }.map { $0 + 1 } ?? 0
    exporter.add(
      ONNXNode(
        opType: opType,
        name: node.name,
        inputs: Array(inputs[..<end]),
        outputs: outputs,
        attributes: attributes
      )
    )
  }

  /// A name for something that belongs to this node.
  private func local(_ suffix: String) -> String {
    exporter.unique((node.outputs.first.map { graph[$0].name } ?? "") + "/" + suffix)
  }
}

extension Attributes {
  init(_ entries: (String, AttributeValue)...) {
    self.init(entries.map { Entry(name: $0.0, value: $0.1) })
  }
}
