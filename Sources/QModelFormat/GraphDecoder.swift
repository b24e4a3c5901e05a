import BinaryIO
import CProtobufC
import CQModelProto
import GraphIR

/// Builds the graph of a file from its graph section and its tensors.
struct GraphDecoder {
  private let limits: Limits
  /// Bytes of the next tensor section, and of which id.
  private let tensor: (_ section: Int) throws(Refusal) -> ByteSlice?
  private var graph = Graph(name: "")
  private var symbols: [String] = []
  private var values: [ValueID] = []
  private var lastSection = 1

  /// Decodes a graph section.
  ///
  /// - Parameters:
  ///   - bytes: The section's raw bytes.
  ///   - limits: Bounds on names and counts.
  ///   - tensor: The raw bytes of the tensor section with an id; nil when it is no tensor section.
  /// - Returns: The graph, not validated yet, and how many tensor sections it uses.
  /// - Throws: A refusal under Q10 or Q11, or what `tensor` throws.
  static func decode(
    _ bytes: ByteSlice,
    limits: Limits,
    tensor: @escaping (_ section: Int) throws(Refusal) -> ByteSlice?
  ) throws(Refusal) -> (Graph, tensorCount: Int) {
    try unsafe Unpacked.graph(bytes, limits: limits) { (message) throws(Refusal) in
      var decoder = GraphDecoder(limits: limits, tensor: tensor)
      try unsafe decoder.run(message)
      return (decoder.graph, decoder.used)
    }
  }

  private var used = 0

  private init(limits: Limits, tensor: @escaping (_ section: Int) throws(Refusal) -> ByteSlice?) {
    self.limits = limits
    self.tensor = tensor
  }

  private mutating func run(_ message: Qmodel__Graph) throws(Refusal) {
    let count = unsafe message.n_inputs + message.n_constants + message.n_nodes
    guard count <= Checked.product(limits.objects, 2) ?? .max else {
      throw malformed("graph section", "L5", "has \(count) inputs, constants and nodes")
    }
    graph.name = try unsafe Unpacked.name(message.name, "graph name", limits: limits)
    for index in unsafe 0..<message.n_symbols {
      let name = try unsafe Unpacked.name(message.symbols[index], "symbol \(index)", limits: limits)
      guard !name.isEmpty else { throw malformed("symbol \(index)", "Q10", "has no name") }
      symbols.append(name)
    }
    for index in unsafe 0..<message.n_inputs {
      guard let input = unsafe message.inputs[index]?.pointee else { continue }
      let (name, type) = try unsafe declare(input, "input \(index)")
      values.append(graph.addInput(name, type))
    }
    for index in unsafe 0..<message.n_constants {
      guard let constant = unsafe message.constants[index]?.pointee else { continue }
      try unsafe addConstant(constant, "constant \(index)")
    }
    for index in unsafe 0..<message.n_nodes {
      guard let node = unsafe message.nodes[index]?.pointee else { continue }
      try unsafe addNode(node, "node \(index)")
    }
    for index in unsafe 0..<message.n_outputs {
      graph.addOutput(try value(unsafe Int(message.outputs[index]), "output \(index)"))
    }
  }

  private func value(_ number: Int, _ place: String) throws(Refusal) -> ValueID {
    guard number < values.count else {
      throw malformed(place, "Q10", "refers to value \(number), but \(values.count) are defined before it")
    }
    return values[number]
  }

  private func valueName(_ field: ProtobufCBinaryData, _ place: String) throws(Refusal) -> String {
    let name = try unsafe Unpacked.name(field, place, limits: limits)
    guard !name.isEmpty else { throw malformed(place, "Q10", "has no name") }
    guard graph.value(named: name) == nil else {
      throw malformed(place, "Q10", "is named \(Refusal.quoted(name)), as another value is")
    }
    return name
  }

  private func elementType(_ number: UInt32, _ place: String) throws(Refusal) -> DType {
    guard let raw = UInt8(exactly: number), let dtype = DType(rawValue: raw) else {
      throw malformed(place, "Q10", "has element type \(number), which is not known")
    }
    return dtype
  }

  private func checkRank(_ rank: Int, _ place: String) throws(Refusal) {
    guard rank <= limits.rank else {
      throw malformed(place, "L1", "has \(rank) dimensions, at most \(limits.rank) are allowed")
    }
  }

  private func declare(
    _ message: Qmodel__Value,
    _ place: String
  ) throws(Refusal) -> (String, TensorType) {
    let name = try unsafe valueName(message.name, place)
    let dtype = try unsafe elementType(message.dtype, place)
    try unsafe checkRank(message.n_dims, place)
    var dims: [Dim] = []
    for index in unsafe 0..<message.n_dims {
      let number = unsafe message.dims[index]
      switch number {
      case 0...:
        guard let extent = Int(exactly: number), extent <= limits.dimension else {
          throw malformed(place, "L2", "has an extent of \(number)")
        }
        dims.append(.known(extent))
      case -1: dims.append(.unknown)
      default:
        guard number >= -1 - Int64(symbols.count) else {
          throw malformed(place, "Q10", "refers to a symbol that does not exist")
        }
        dims.append(.symbol(symbols[Int(-2 - number)]))
      }
    }
    return (name, TensorType(dtype, dims))
  }

  private mutating func addConstant(_ message: Qmodel__Constant, _ place: String) throws(Refusal) {
    let name = try unsafe valueName(message.name, place)
    let dtype = try unsafe elementType(message.dtype, place)
    try unsafe checkRank(message.n_dims, place)
    var shape: [Int] = []
    for index in unsafe 0..<message.n_dims {
      let number = unsafe message.dims[index]
      guard let extent = Int(exactly: number), extent <= limits.dimension else {
        throw malformed(place, "L2", "has an extent of \(number)")
      }
      shape.append(extent)
    }
    let bytes = try unsafe content(of: message, place)
    guard let count = Checked.product(shape), count <= limits.elements,
      let tensor = Tensor(dtype, shape, bytes: bytes)
    else {
      throw malformed(
        place,
        "Q11",
        "has \(bytes.count) bytes, which is not \(TensorType(dtype, known: shape))"
      )
    }
    values.append(graph.addConstant(name, tensor))
  }

  private mutating func content(of message: Qmodel__Constant, _ place: String) throws(Refusal) -> ByteSlice {
    guard unsafe (message.has_section != 0) != (message.has_data != 0) else {
      throw malformed(place, "Q10", "must have either a section or inline data")
    }
    guard unsafe message.has_section != 0 else {
      let source = unsafe UnsafeRawBufferPointer(start: message.data.data, count: message.data.len)
      guard source.count <= QModelFile.inlineBytes else {
        throw malformed(
          place,
          "Q10",
          "has \(source.count) inline bytes, at most \(QModelFile.inlineBytes) are allowed"
        )
      }
      return try unsafe ByteSlice.build(count: source.count) { (target) throws(Refusal) in
        unsafe target.copyMemory(from: source)
      }
    }
    let section = unsafe Int(message.section)
    guard section > lastSection else {
      throw malformed(place, "Q10", "uses section \(section) after section \(lastSection)")
    }
    guard let bytes = try tensor(section) else {
      throw malformed(place, "Q10", "uses section \(section), which is no tensor section")
    }
    lastSection = section
    used += 1
    return bytes
  }

  private mutating func addNode(_ message: Qmodel__Node, _ place: String) throws(Refusal) {
    let name = try unsafe Unpacked.name(message.name, place, limits: limits)
    guard let operatorName = unsafe OpCodes.name(of: Int(message.op)) else {
      throw Refusal(
        .unsupported,
        at: place,
        rule: "Q10",
        unsafe "has operator code \(message.op), which is not known",
        remedy: "use a newer qconvert"
      )
    }
    let arity = unsafe message.n_inputs + message.n_outputs
    guard arity <= limits.nodeArity, unsafe message.n_attributes <= limits.attributes else {
      throw malformed(place, "L6", "has too many operands, results or attributes")
    }
    var inputs: [ValueID?] = []
    for index in unsafe 0..<message.n_inputs {
      let number = unsafe Int(message.inputs[index])
      inputs.append(number == 0 ? nil : try value(number - 1, place))
    }
    let op = try decodeOp(operatorName, try unsafe attributes(of: message, place), place)
    var names: [String] = []
    var types: [TensorType] = []
    for index in unsafe 0..<message.n_outputs {
      guard let output = unsafe message.outputs[index]?.pointee else { continue }
      let (name, type) = try unsafe declare(output, "\(place), output \(index)")
      guard !names.contains(name) else {
        throw malformed(place, "Q10", "has two outputs named \(Refusal.quoted(name))")
      }
      names.append(name)
      types.append(type)
    }
    let id = graph.addNode(op, name: name, inputs: inputs, outputNames: names, outputTypes: types)
    values += graph[id].outputs
  }

  private func decodeOp(_ name: String, _ attributes: Attributes, _ place: String) throws(Refusal) -> Op {
    do { return try Op(name: name, attributes: attributes) } catch { throw error.at("\(place) (\(name))") }
  }

  private func attributes(of message: Qmodel__Node, _ place: String) throws(Refusal) -> Attributes {
    var entries: [Attributes.Entry] = []
    for index in unsafe 0..<message.n_attributes {
      guard let attribute = unsafe message.attributes[index]?.pointee else { continue }
      let location = "\(place), attribute \(index)"
      let name = try unsafe Unpacked.name(attribute.name, location, limits: limits)
      entries.append(Attributes.Entry(name: name, value: try unsafe attributeValue(attribute, location)))
    }
    return Attributes(entries)
  }

  private func attributeValue(_ message: Qmodel__Attribute, _ place: String) throws(Refusal) -> AttributeValue
  {
    let given = unsafe [
      message.has_integer != 0, message.has_number != 0, message.has_text != 0, message.n_integers > 0,
      message.n_numbers > 0,
    ]
    let kind = unsafe Int(message.kind)
    guard (1...5).contains(kind), given.indices.allSatisfy({ !given[$0] || $0 == kind - 1 }),
      kind > 3 || given[kind - 1]
    else { throw malformed(place, "Q10", "has kind \(kind), which does not agree with its fields") }
    let items = unsafe max(message.n_integers, message.n_numbers)
    guard items <= limits.attributeItems else {
      throw malformed(place, "L6", "has \(items) items, at most \(limits.attributeItems) are allowed")
    }
    switch kind {
    case 1: return unsafe .int(Int(message.integer))
    case 2: return unsafe .float(Float(bitPattern: message.number))
    case 3: return .string(try unsafe Unpacked.name(message.text, place, limits: limits))
    case 4: return unsafe .ints((0..<message.n_integers).map { unsafe Int(message.integers[$0]) })
    default:
      return unsafe .floats((0..<message.n_numbers).map { unsafe Float(bitPattern: message.numbers[$0]) })
    }
  }
}
