import BinaryIO
import GraphIR

/// Builds the graph from the messages of a file.
///
/// Checks the rules O10-O29 and O35 on the way; ``OperatorTable`` knows what each operator becomes.
final class Importer {
  /// Versions of the default operator set that are read.
  static let operatorSets = 7...22
  /// Versions of the file format that are read.
  static let irVersions = 3...13

  private(set) var graph: Graph
  let operatorSet: Int
  private let proto: Proto.Graph
  private let importedDomains: Set<String>
  private let functions: Set<String>
  private let decoder: TensorDecoder
  private var operands: [String: Operand] = [:]
  private var constants: [String: ValueID] = [:]
  /// Constants of 4 bits, which are held in 8.
  private var fourBitNames: Set<String> = []
  private var shapeValues: [ValueID: [Dim]] = [:]
  private var symbols = SymbolTable()
  /// Every name of the file, which names made during the import must avoid.
  private var fileNames: Set<String> = []
  private var usedNames: Set<String> = []

  /// The graph of a file's messages.
  ///
  /// - Parameters:
  ///   - model: The messages.
  ///   - path: The file, beside which external data lies.
  ///   - limits: Sizes that are accepted.
  /// - Throws: A refusal with the node or tensor that breaks a rule.
  static func run(_ model: Proto.Model, path: String, limits: Limits) throws(Refusal) -> Graph {
    guard let graph = model.graph else {
      throw Refusal(
        .invalid,
        at: "file",
        rule: "O8",
        "has no graph, so it is not an ONNX model",
        remedy: "give the .onnx file that the exporter wrote"
      )
    }
    let header = try ModelHeader(model)
    let externalData = ExternalData(modelPath: path)
    let decoder = TensorDecoder(limits: limits, externalData: externalData)
    let importer = Importer(graph, header, decoder)
    try importer.checkOperators()
    try importer.addInitializers()
    try externalData.checkRanges()
    try importer.addInputs()
    for (index, node) in graph.nodes.enumerated() { try importer.addNode(node, index: index) }
    try importer.addOutputs()
    try importer.checkDeclaredTypes()
    importer.graph.removeUnused()
    return importer.graph
  }

  private init(_ proto: Proto.Graph, _ header: ModelHeader, _ decoder: TensorDecoder) {
    self.proto = proto
    self.decoder = decoder
    operatorSet = header.operatorSet
    importedDomains = header.domains
    functions = header.functions
    graph = Graph(name: proto.name)
    graph.metadata = header.metadata
    for node in proto.nodes {
      usedNames.formUnion(node.inputs)
      fileNames.formUnion(node.outputs)
    }
    usedNames.formUnion(proto.outputs.map(\.name))
    fileNames.formUnion(proto.inputs.map(\.name))
    fileNames.formUnion(proto.initializers.map(\.name))
  }

  // MARK: Operators

  /// Refuses operators that are not imported, all in one message (O29).
  private func checkOperators() throws(Refusal) {
    var counts: [String: Int] = [:]
    var firstNode: String?
    for (index, node) in proto.nodes.enumerated() where OperatorTable.find(node) == nil {
      let domain = Importer.canonical(node.domain)
      let name = domain.isEmpty ? node.opType : "\(domain).\(node.opType)"
      counts[
        functions.contains("\(domain).\(node.opType)") ? "\(name) (local function)" : name,
        default: 0
      ] += 1
      if firstNode == nil { firstNode = label(node, index) }
    }
    guard let firstNode else { return }
    let list = counts.keys.sorted().map { "\(Refusal.printable($0)) (\(counts[$0] ?? 0)x)" }
    throw Refusal(
      .unsupported,
      at: "\(list.count) operator\(list.count == 1 ? "" : "s"), first at \(firstNode)",
      rule: "O29",
      "not supported: \(list.prefix(64).joined(separator: ", "))",
      remedy: "export the model without them, or fold them with the onnx tools first"
    )
  }

  /// A domain with `ai.onnx` written as the default one.
  static func canonical(_ domain: String) -> String { domain == "ai.onnx" ? "" : domain }

  func label(_ node: Proto.Node, _ index: Int) -> String {
    let name = node.name.isEmpty ? node.outputs.first ?? "" : node.name
    return "node \(Refusal.quoted(name)) (\(Refusal.printable(node.opType)), node \(index))"
  }

  private func addNode(_ node: Proto.Node, index: Int) throws(Refusal) {
    do throws(Refusal) {
      try checkNames(of: node, index: index)
      guard let entry = OperatorTable.find(node) else { return }
      try entry.check(node, operatorSet: operatorSet)
      var context = try NodeImporter(self, node)
      try entry.run(&context)
      try context.attributes.finish()
      for (position, output) in node.outputs.enumerated()
      where operands[output] == nil && !output.isEmpty && usedNames.contains(output) {
        throw Refusal(
          .unsupported,
          at: "",
          rule: "O29",
          "output \(position), \(Refusal.quoted(output)), is used, but not computed by qconvert",
          remedy: "export the model for inference"
        )
      }
    } catch { throw error.at(label(node, index)) }
  }

  private func checkNames(of node: Proto.Node, index: Int) throws(Refusal) {
    guard importedDomains.contains(Importer.canonical(node.domain)) else {
      throw invalid("O26", "its domain \(Refusal.quoted(node.domain)) is not imported by the model")
    }
    for name in node.inputs where !name.isEmpty && operands[name] == nil {
      let later = proto.nodes[index...].firstIndex { $0.outputs.contains(name) }
      throw invalid(
        "O23",
        "its input \(Refusal.quoted(name)) is "
          + (later.map { "defined later, by node \($0)" } ?? "never defined")
      )
    }
    // Anything else would take them for numbers of 8 bits.
    if node.opType != "DequantizeLinear", let name = node.inputs.first(where: isFourBit) {
      throw Refusal(
        .unsupported,
        at: "",
        rule: "O30",
        "its input \(Refusal.quoted(name)) has 4 bits, which only DequantizeLinear may have",
        remedy: "quantize the float model with qconvert"
      )
    }
    for name in node.outputs where !name.isEmpty && operands[name] != nil {
      throw invalid("O22", "its output \(Refusal.quoted(name)) is defined twice")
    }
    if Set(node.outputs.filter { !$0.isEmpty }).count != node.outputs.count(where: { !$0.isEmpty }) {
      throw invalid("O22", "it has two outputs of one name")
    }
  }

  // MARK: Values

  private func addInitializers() throws(Refusal) {
    guard proto.sparseInitializerCount == 0 else {
      throw Refusal(
        .unsupported,
        at: "graph",
        rule: "O36",
        "has sparse initializers, which qconvert does not read",
        remedy: "export the model with dense tensors"
      )
    }
    for tensor in proto.initializers {
      let place = "tensor \(Refusal.quoted(tensor.name))"
      guard !tensor.name.isEmpty else { throw invalid("O21", "has no name", at: "an initializer") }
      guard operands[tensor.name] == nil else { throw invalid("O21", "is given twice", at: place) }
      if TensorDecoder.fourBit(tensor.dataType) != nil { fourBitNames.insert(tensor.name) }
      operands[tensor.name] = .constant(tensor.name, try decoder.decode(tensor, widensFourBits: true))
    }
  }

  private func addInputs() throws(Refusal) {
    var seen: Set<String> = []
    for input in proto.inputs {
      let place = "input \(Refusal.quoted(input.name))"
      guard !input.name.isEmpty else { throw invalid("O20", "has no name", at: "an input of the graph") }
      guard seen.insert(input.name).inserted else { throw invalid("O20", "is given twice", at: place) }
      // An input with an initializer is a default value, or in old files just a constant.
      guard operands[input.name] == nil else { continue }
      do {
        let type = try symbols.type(of: input, limits: decoder.limits)
        operands[input.name] = .value(graph.addInput(input.name, type))
      } catch { throw error.at(place) }
    }
  }

  /// Whether a name stands for a constant of 4 bits.
  func isFourBit(_ name: String) -> Bool { fourBitNames.contains(name) }

  /// What a name stands for; nil for an absent optional operand.
  func operand(_ name: String) -> Operand? { operands[name] }

  /// Lets a name stand for an operand.
  func define(_ name: String, _ operand: Operand) {
    if !name.isEmpty { operands[name] = operand }
  }

  func type(of operand: Operand) -> TensorType {
    switch operand {
    case .value(let id): graph[id].type
    case .constant(_, let tensor): tensor.type
    }
  }

  /// The constant of a tensor attribute.
  func decode(_ tensor: Proto.Tensor) throws(Refusal) -> Tensor { try decoder.decode(tensor) }

  /// What the type rules may know of an operand.
  func info(_ operand: Operand) -> OperandInfo {
    switch operand {
    case .value(let id): OperandInfo(type: graph[id].type, shapeValue: shapeValues[id])
    case .constant(_, let tensor):
      OperandInfo(type: tensor.type, constant: tensor, shapeValue: ShapeFolder.value(of: tensor))
    }
  }

  /// The operand as a value of the graph; a constant is added at its first use.
  func value(_ operand: Operand) -> ValueID {
    switch operand {
    case .value(let id): return id
    case .constant(let name, let tensor):
      if let known = constants[name] { return known }
      let id = graph.addConstant(name, tensor)
      constants[name] = id
      return id
    }
  }

  /// A name that neither the file nor the graph has.
  func freshName(_ base: String) -> String {
    var name = graph.uniqueName(base)
    var suffix = 1
    while fileNames.contains(name) {
      name = graph.uniqueName("\(base)_\(suffix)")
      suffix += 1
    }
    fileNames.insert(name)
    return name
  }

  /// Appends an operator and returns its results; small integer results that are known become constants.
  func emit(
    _ op: Op,
    _ inputs: [Operand?],
    name: String,
    outputs: [String]
  ) throws(Refusal) -> [Operand] {
    let infos = inputs.map { $0.map(info) }
    let types = Array(try op.payload.inferTypes(infos).prefix(outputs.count))
    let known = ShapeFolder.values(of: op, infos, types)
    if types.count == 1, let value = known[0], let tensor = try ShapeFolder.tensor(value, types[0]) {
      return [.constant(outputs[0], tensor)]
    }
    let id = graph.addNode(
      op,
      name: name,
      inputs: inputs.map { $0.map(value) },
      outputNames: outputs,
      outputTypes: types
    )
    for (output, value) in zip(graph[id].outputs, known) { shapeValues[output] = value }
    return graph[id].outputs.map { .value($0) }
  }

  /// The operator that makes an operand, if a node does.
  func producer(of operand: Operand) -> Node? {
    guard case .value(let id) = operand else { return nil }
    return graph[id].producer.map { graph[$0] }
  }

  // MARK: Outputs

  private func addOutputs() throws(Refusal) {
    guard !proto.outputs.isEmpty else { throw invalid("O25", "has no outputs", at: "graph") }
    var seen: Set<String> = []
    let names = Set(proto.outputs.map(\.name))
    var taken: Set<ValueID> = []
    for output in proto.outputs {
      let place = "output \(Refusal.quoted(output.name))"
      guard !output.name.isEmpty, let operand = operands[output.name] else {
        throw invalid("O24", "is never defined", at: place)
      }
      guard seen.insert(output.name).inserted else { throw invalid("O24", "is given twice", at: place) }
      var id = value(operand)
      let isAnotherOutput = graph[id].name != output.name && names.contains(graph[id].name)
      if graph[id].producer == nil || isAnotherOutput || taken.contains(id) {
        id = try copy(operand, output.name)
      }
      graph.rename(id, to: output.name)
      taken.insert(id)
      graph.addOutput(id)
    }
  }

  /// A value with a name of its own for an output that is only another name of an operand.
  private func copy(_ operand: Operand, _ name: String) throws(Refusal) -> ValueID {
    let same = Reshape(shape: Array(repeating: 0, count: type(of: operand).rank))
    let types = try same.inferTypes([info(operand)])
    let id = graph.addNode(
      .reshape(same),
      inputs: [value(operand)],
      outputNames: [name],
      outputTypes: types
    )
    return graph[id].outputs[0]
  }

  /// Compares the types that the file declares with the inferred ones (O35).
  private func checkDeclaredTypes() throws(Refusal) {
    for info in proto.valueInfo + proto.outputs {
      guard let operand = operands[info.name], let declared = info.type else { continue }
      let inferred = type(of: operand)
      let number = declared.elementType ?? 0
      let dims = declared.shape ?? inferred.dims.map { _ in Proto.Dimension() }
      let agrees =
        (number == 0 || number == Int(inferred.dtype.rawValue)) && dims.count == inferred.rank
        && zip(dims, inferred.dims).allSatisfy { $0.value == nil || $1.value == nil || $0.value == $1.value }
      guard !agrees else { continue }
      let name = UInt8(exactly: number).flatMap(DType.init(rawValue:))?.name ?? "type \(number)"
      let shape = dims.map { $0.value.map { String($0) } ?? Refusal.printable($0.parameter ?? "?") }
      throw invalid(
        "O35",
        "is declared as \(name)[\(shape.joined(separator: ", "))], but the operators give \(inferred)",
        at: "value \(Refusal.quoted(info.name))"
      )
    }
  }

  private func invalid(_ rule: String, _ problem: String, at place: String = "") -> Refusal {
    Refusal(.invalid, at: place, rule: rule, problem, remedy: "export the model again")
  }
}
