import BinaryIO
import GraphIR

/// Makes the graph section of a graph, and the list of tensors that get sections of their own.
struct GraphEncoder {
  private let graph: Graph
  private var message = ProtoWriter()
  private var numbers: [ValueID: Int] = [:]
  private var symbols: [String: Int] = [:]
  private var symbolNames: [String] = []

  /// The graph section's raw bytes.
  private(set) var bytes: [UInt8] = []
  /// Constants with sections, in order of their ids, which begin at 2.
  private(set) var tensors: [ValueID] = []

  /// Encodes a graph that the validator accepts.
  ///
  /// - Throws: A refusal when an operator has no code, or nodes are not in topological order.
  init(_ graph: Graph) throws(Refusal) {
    self.graph = graph
    var inputs: [ProtoWriter] = []
    for id in graph.inputs { inputs.append(declare(id)) }
    var constants: [ProtoWriter] = []
    for id in graph.valueIDs where graph[id].isConstant { constants.append(encodeConstant(id)) }
    var nodes: [ProtoWriter] = []
    for id in graph.order { nodes.append(try encodeNode(id)) }
    var outputs: [Int] = []
    for id in graph.outputs { outputs.append(try number(id, "output \(Refusal.quoted(graph[id].name))")) }

    if !graph.name.isEmpty { message.field(1, graph.name) }
    for name in symbolNames { message.field(2, name) }
    for input in inputs { message.field(3, input) }
    for constant in constants { message.field(4, constant) }
    for node in nodes { message.field(5, node) }
    message.field(6, packed: outputs)
    bytes = message.bytes
  }

  private func number(_ id: ValueID, _ place: String) throws(Refusal) -> Int {
    guard let number = numbers[id] else {
      throw Refusal(
        .invalid,
        at: place,
        rule: "O23",
        "uses value \(Refusal.quoted(graph[id].name)) before it is defined",
        remedy: "report the command that led to this"
      )
    }
    return number
  }

  private mutating func declare(_ id: ValueID) -> ProtoWriter {
    numbers[id] = numbers.count
    let value = graph[id]
    var result = ProtoWriter()
    result.field(1, value.name)
    result.field(2, Int(value.type.dtype.rawValue))
    result.field(3, packedSigned: value.type.dims.map { dimension($0) })
    return result
  }

  private mutating func dimension(_ dim: Dim) -> Int {
    switch dim {
    case .known(let extent): return extent
    case .unknown: return -1
    case .symbol(let name):
      if let known = symbols[name] { return -2 - known }
      symbols[name] = symbolNames.count
      symbolNames.append(name)
      return -1 - symbolNames.count
    }
  }

  private mutating func encodeConstant(_ id: ValueID) -> ProtoWriter {
    numbers[id] = numbers.count
    var result = ProtoWriter()
    guard let tensor = graph[id].constant else { return result }
    result.field(1, graph[id].name)
    result.field(2, Int(tensor.dtype.rawValue))
    result.field(3, packed: tensor.shape)
    if tensor.bytes.count <= QModelFile.inlineBytes {
      result.field(5, unsafe tensor.bytes.withUnsafeBytes { unsafe Array($0) })
    } else {
      result.field(4, 2 + tensors.count)
      tensors.append(id)
    }
    return result
  }

  private mutating func encodeNode(_ id: NodeID) throws(Refusal) -> ProtoWriter {
    let node = graph[id]
    let place = graph.label(of: id)
    guard let code = OpCodes.code(of: node.op.name) else {
      throw Refusal(
        .unsupported,
        at: place,
        rule: "Q10",
        "has no operator code in .qmodel files",
        remedy: "write the model to another format"
      )
    }
    var result = ProtoWriter()
    result.field(1, code)
    if !node.name.isEmpty { result.field(2, node.name) }
    var inputs: [Int] = []
    for input in node.inputs {
      if let input { inputs.append(try number(input, place) + 1) } else { inputs.append(0) }
    }
    result.field(3, packed: inputs)
    for entry in node.op.payload.attributes.entries { result.field(4, encodeAttribute(entry)) }
    for output in node.outputs { result.field(5, declare(output)) }
    return result
  }

  private func encodeAttribute(_ entry: Attributes.Entry) -> ProtoWriter {
    var result = ProtoWriter()
    result.field(1, entry.name)
    switch entry.value {
    case .int(let value):
      result.field(2, 1)
      result.field(3, signed: value)
    case .float(let value):
      result.field(2, 2)
      result.field(4, fixed32: value.bitPattern)
    case .string(let value):
      result.field(2, 3)
      result.field(5, value)
    case .ints(let values):
      result.field(2, 4)
      result.field(6, packedSigned: values)
    case .floats(let values):
      result.field(2, 5)
      result.field(7, packedFixed32: values.map(\.bitPattern))
    }
    return result
  }
}
