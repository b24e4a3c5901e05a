import BinaryIO
import GraphIR
import Runtime

/// What the constants of a graph are for, and in which arithmetic its nodes run.
struct GraphAnalysis {
  /// What a constant is for.
  enum Role: String {
    case weight
    case bias
    case weightScale = "weight scale"
    case activationScale = "activation scale"
    case constant
  }

  /// How a node computes, with the reason why not in integers.
  enum Arithmetic: Equatable {
    case int8
    case fp16
    case float(String)
    /// It moves or converts data, or depends on constants only.
    case other
  }

  let graph: Graph
  private(set) var roles: [ValueID: Role] = [:]
  /// Values that depend on constants only.
  private(set) var isFixed: Set<ValueID> = []
  /// How many numbers a constant of packed integers holds.
  private(set) var packedCounts: [ValueID: Int] = [:]
  /// Nodes that the interpreter runs in integers; nil where it needs the shapes of inputs to tell.
  private var integerNodes: Set<NodeID>?
  /// Why it runs others in float although they are surrounded by stubs.
  private var floatReasons: [NodeID: String] = [:]

  /// - Parameter program: The network made ready to run, if shapes are known.
  init(_ graph: Graph, _ program: Program? = nil) {
    self.graph = graph
    if let steps = program?.steps {
      integerNodes = Set(steps.filter(\.kind.isInteger).flatMap(\.nodes))
      for step in steps {
        for node in step.nodes { floatReasons[node] = step.reason }
      }
    }
    for id in graph.valueIDs where graph[id].isConstant { isFixed.insert(id) }
    for id in graph.order {
      let inputs = graph[id].inputs.compactMap(\.self)
      if !inputs.isEmpty, inputs.allSatisfy(isFixed.contains) { isFixed.formUnion(graph[id].outputs) }
    }
    for id in graph.order { assignRoles(id) }
  }

  /// The role of a constant.
  func role(of id: ValueID) -> Role { roles[id] ?? .constant }

  private mutating func assignRoles(_ id: NodeID) {
    let node = graph[id]
    switch node.op {
    case .quantizeLinear: set(.activationScale, node.inputs.dropFirst())
    case .dequantizeLinear:
      let isWeight = node.inputs.first.flatMap { $0 }.map(isFixed.contains) ?? false
      set(isWeight ? .weightScale : .activationScale, node.inputs.dropFirst())
    case .dequantizeBlocks:
      set(.weightScale, node.inputs.dropFirst())
      if let packed = node.inputs[0] { packedCounts[packed] = graph[node.outputs[0]].type.elementCount }
    case .dequantizeBias:
      set(.activationScale, node.inputs[1..<2])
      set(.weightScale, node.inputs[2...])
    case .conv, .convTranspose, .gemm, .matMul:
      set(.weight, node.inputs.prefix(2))
      set(.bias, node.inputs.dropFirst(2))
    case .lstm: set(.weight, [node.inputs[1]] + node.inputs.dropFirst(5))
    case .gru:
      set(.weight, node.inputs[1...1])
      set(.bias, node.inputs.dropFirst(2).prefix(1))
    case .gather: setTable(node)
    case .batchNorm, .layerNorm, .prelu: set(.weight, node.inputs.dropFirst())
    case .binary: set(.weight, node.inputs.filter { $0.map(isArray) ?? false }[...])
    default: break
    }
  }

  /// Rows picked from a table of numbers are weights, or their scales where a dequantization takes them as such.
  private mutating func setTable(_ node: Node) {
    guard let table = node.inputs[0], isFixed.contains(table), graph[table].type.rank == 2,
      graph[table].type.dtype.isFloatingPoint || graph[table].type.dtype == .int8
    else { return }
    let isScale = graph.users(of: node.outputs[0]).contains { user in
      guard case .dequantizeLinear = graph[user].op else { return false }
      return graph[user].inputs[1] == node.outputs[0]
    }
    set(isScale ? .weightScale : .weight, [table])
  }

  /// Gives a role to the constants that operands come from, through conversions and changes of shape.
  private mutating func set(_ role: Role, _ operands: ArraySlice<ValueID?>) {
    for case var operand? in operands {
      while let producer = graph[operand].producer, isFixed.contains(operand),
        let source = graph[producer].inputs.first.flatMap({ $0 })
      {
        operand = source
      }
      guard graph[operand].isConstant, roles[operand] != .activationScale else { continue }
      if role == .activationScale || roles[operand] == nil { roles[operand] = role }
    }
  }

  private func isArray(_ id: ValueID) -> Bool {
    guard let tensor = graph[id].constant else { return false }
    return tensor.dtype.isFloatingPoint && tensor.count > 1
  }
}

extension GraphAnalysis {
  /// Whether the node multiplies by weights.
  static func isLinear(_ op: Op) -> Bool {
    switch op {
    case .conv, .convTranspose, .gemm, .matMul, .lstm, .gru: true
    default: false
    }
  }

  /// How a node computes.
  func arithmetic(of id: NodeID) -> Arithmetic {
    let told = arithmeticOfOperands(of: id)
    guard told != .other, let integerNodes else { return told }
    if integerNodes.contains(id) { return .int8 }
    return told == .int8 ? .float(floatReasons[id] ?? "the interpreter has no integers for it") : told
  }

  /// How a node computes, by what its operands are and what its results are used for.
  private func arithmeticOfOperands(of id: NodeID) -> Arithmetic {
    let node = graph[id]
    guard !node.outputs.allSatisfy(isFixed.contains) else { return .other }
    switch node.op {
    case .conv, .convTranspose, .gemm, .matMul:
      return linearArithmetic(node, isQuantized: variableInputs(node).allSatisfy { isDequantized($0) })
    case .lstm(let op): return linearArithmetic(node, isQuantized: op.recurrence.isDynamic)
    case .gru(let op): return linearArithmetic(node, isQuantized: op.recurrence.isDynamic)
    case .quantizeLinear, .dequantizeLinear, .dequantizeBias, .dequantizeBlocks, .dynamicQuantize, .cast,
      .shape, .gather,
      .range,
      .constantOfShape, .gatherElements, .gatherND, .scatterND, .cumSum, .tile, .reshape, .flatten,
      .transpose, .squeeze, .unsqueeze, .split, .slice, .expand:
      return .other
    default:
      let hasQuantizedInputs = variableInputs(node).allSatisfy { isDequantized($0) }
      let results = node.outputs.flatMap { graph.users(of: $0) }
      let hasQuantizedOutputs = !results.isEmpty && results.allSatisfy(isQuantize)
      if hasQuantizedInputs, hasQuantizedOutputs { return .int8 }
      return .float(hasQuantizedInputs ? "its result is used as float" : "its input is not quantized")
    }
  }

  /// - Parameter isQuantized: Whether what it multiplies by its weights is.
  private func linearArithmetic(_ node: Node, isQuantized: Bool) -> Arithmetic {
    guard node.inputs.count >= 2, let weight = node.inputs[1], isFixed.contains(weight) else {
      return .float("it multiplies two activations")
    }
    guard let producer = graph[weight].producer else {
      return .float("its weights are \(graph[weight].type.dtype.name)")
    }
    switch graph[producer].op {
    case .dequantizeLinear:
      return isQuantized ? .int8 : .float(GraphAnalysis.bytesInFloat)
    case .cast: return .fp16
    case .dequantizeBlocks(let op):
      return .float("its weights are int\(op.bits) in blocks of \(op.block), it computes in f32")
    default: return .float("its weights are computed")
    }
  }

  /// The operands of a node that do not depend on constants only.
  func variableInputs(_ node: Node) -> [ValueID] {
    node.inputs.compactMap(\.self).filter { !isFixed.contains($0) && !isFixedBias($0) }
  }

  /// A bias dequantized by a scale that is computed while the network runs.
  private func isFixedBias(_ id: ValueID) -> Bool {
    guard let producer = graph[id].producer, case .dequantizeBias = graph[producer].op else { return false }
    return true
  }

  private static let bytesInFloat = "its weights are int8, its input is not quantized: it computes in f32"

  /// What weights in blocks, and int8 weights of nodes that compute in float, take while the network runs.
  var wideningNotes: [String] {
    let blocks = packedCounts.values.reduce(0) { Checked.sum($0, $1) ?? .max }
    let widened = Set(
      graph.order.filter { arithmetic(of: $0) == .float(GraphAnalysis.bytesInFloat) }
        .compactMap { graph[$0].inputs[1] }
    )
    let bytes = widened.reduce(0) { Checked.sum($0, graph[$1].type.elementCount ?? 0) ?? .max }
    let kinds = [("weights in blocks", blocks), ("int8 weights of operators that compute in float", bytes)]
    return kinds.compactMap { kind, count in
      guard count > 0, let bytes = Checked.product(count, 4) else { return nil }
      return "\(kind) are widened when the network is loaded to run: they then take \(bytes) bytes as f32"
    }
  }

  func isDequantized(_ id: ValueID) -> Bool {
    guard let producer = graph[id].producer, case .dequantizeLinear = graph[producer].op else { return false }
    return true
  }

  func isQuantize(_ id: NodeID) -> Bool {
    switch graph[id].op {
    case .quantizeLinear: true
    default: false
    }
  }
}
