public import BinaryIO

/// Types of all values from those of the inputs, by the operators' rules and shape arithmetic.
public enum TypeInference {
  /// Infers every type anew, in order.
  ///
  /// What a value was declared to be stays where inference knows less: a declared extent survives an unknown one.
  ///
  /// - Parameters:
  ///   - graph: Its nodes must be in topological order.
  ///   - inputTypes: Types for inputs, by name. An extent given for a symbol holds for that symbol everywhere.
  /// - Throws: The refusal of a type rule; `O35` when a declared type and an inferred one contradict each other, `O26`
  ///   for a wrong number of operands, `O40` when a symbol would get two extents, `O41` when an input type does not fit.
  public static func infer(
    _ graph: inout Graph,
    inputTypes: [String: TensorType] = [:]
  ) throws(Refusal) {
    if !inputTypes.isEmpty { try bind(inputTypes, in: &graph) }
    var walk = ShapeWalk(graph)
    for id in graph.order {
      let node = graph[id]
      let types: [TensorType]
      do throws(Refusal) {
        try checkArity(node)
        types = try node.op.payload.inferTypes(walk.operands(of: node, in: graph))
        guard types.count >= node.outputs.count else {
          throw arity("has \(node.outputs.count) outputs, the operator makes \(types.count)")
        }
      } catch { throw error.at(graph.label(of: id)) }
      for (output, type) in zip(node.outputs, types) {
        graph.setType(
          try merge(declared: graph[output].type, inferred: type, of: graph[output].name),
          of: output
        )
      }
      walk.visit(node, in: graph)
    }
  }

  /// The elements of integer scalars and vectors, as far as shape arithmetic tells them; types are taken as they are.
  ///
  /// Where all elements of the output of a node are known, the node can be replaced by a constant.
  public static func shapeValues(_ graph: Graph) -> [ValueID: [Dim]] {
    var walk = ShapeWalk(graph)
    var result: [ValueID: [Dim]] = [:]
    for id in graph.valueIDs where graph[id].isConstant { result[id] = walk.shapeValue(of: id, in: graph) }
    for id in graph.order {
      walk.visit(graph[id], in: graph)
      for output in graph[id].outputs { result[output] = walk.shapeValue(of: output, in: graph) }
    }
    return result
  }

  /// - Throws: `O26` when a node has too few or too many operands or outputs, or lacks a required one.
  static func checkArity(_ node: Node) throws(Refusal) {
    let payload = node.op.payload
    let (inputs, outputs) = (payload.inputCount, payload.outputCount)
    guard inputs.contains(node.inputs.count) else {
      throw arity("has \(node.inputs.count) operands, the operator takes \(text(inputs))")
    }
    guard outputs.contains(node.outputs.count) else {
      throw arity("has \(node.outputs.count) outputs, the operator makes \(text(outputs))")
    }
    if let missing = node.inputs.prefix(inputs.lowerBound).firstIndex(of: nil) {
      throw arity("lacks operand \(missing), which is required")
    }
  }

  private static func text(_ range: ClosedRange<Int>) -> String {
    range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
  }

  private static func arity(_ problem: String) -> Refusal {
    Refusal(.invalid, at: "", rule: "O26", problem, remedy: "export the model again; the node is malformed")
  }

  /// The sharper of two types of one value.
  private static func merge(
    declared: TensorType,
    inferred: TensorType,
    of name: String
  ) throws(Refusal) -> TensorType {
    guard declared.dtype == inferred.dtype, declared.rank == inferred.rank else {
      throw contradiction(declared, inferred, name)
    }
    var merged = inferred
    for (axis, (old, new)) in zip(declared.dims, inferred.dims).enumerated() {
      switch (old, new) {
      case (.known(let declaredExtent), .known(let extent)):
        guard declaredExtent == extent else { throw contradiction(declared, inferred, name) }
      case (.known, _), (.symbol, .unknown): merged.dims[axis] = old
      case (.symbol, _), (.unknown, _): break
      }
    }
    return merged
  }

  private static func contradiction(_ declared: TensorType, _ inferred: TensorType, _ name: String) -> Refusal
  {
    Refusal(
      .invalid,
      at: "value \(Refusal.quoted(name))",
      rule: "O35",
      "is declared \(printable(declared)), but its operator makes \(printable(inferred))",
      remedy: "export the model again, or remove the wrong declaration"
    )
  }

  private static func printable(_ type: TensorType) -> String {
    Refusal.printable(type.description, limit: 200)
  }
}

extension TypeInference {
  /// Gives inputs their types, and every symbol they fix its extent throughout the graph.
  private static func bind(_ inputTypes: [String: TensorType], in graph: inout Graph) throws(Refusal) {
    var extents: [String: Int] = [:]
    for name in inputTypes.keys.sorted() {
      guard let given = inputTypes[name] else { continue }
      guard let id = graph.value(named: name), graph.inputs.contains(id) else {
        throw misfit(name, "is no input of the graph")
      }
      let declared = graph[id].type
      guard given.dtype == declared.dtype, given.rank == declared.rank else {
        throw misfit(name, "is \(printable(declared)) and cannot become \(printable(given))")
      }
      var type = given
      for (axis, (old, new)) in zip(declared.dims, given.dims).enumerated() {
        switch (old, new) {
        case (.known(let old), .known(let new)) where old != new:
          throw misfit(name, "is \(printable(declared)) and cannot become \(printable(given))")
        case (.symbol(let symbol), .known(let extent)):
          guard extents.updateValue(extent, forKey: symbol) ?? extent == extent else {
            throw Refusal(
              .usage,
              at: "input \(Refusal.quoted(name))",
              rule: "O40",
              "gives '\(Refusal.printable(symbol))' the extent \(extent), but another input gave it another one",
              remedy: "use the same extent for all inputs that share it"
            )
          }
        case (.known, .symbol), (.known, .unknown), (.symbol, .unknown): type.dims[axis] = old
        case (.known, .known), (.symbol, .symbol), (.unknown, _): break
        }
      }
      graph.setType(type, of: id)
    }
    guard !extents.isEmpty else { return }
    for id in graph.valueIDs where !graph[id].isConstant {
      var type = graph[id].type
      type.dims = type.dims.map { dim in
        guard case .symbol(let symbol) = dim, let extent = extents[symbol] else { return dim }
        return .known(extent)
      }
      if type != graph[id].type { graph.setType(type, of: id) }
    }
  }

  private static func misfit(_ name: String, _ problem: String) -> Refusal {
    Refusal(
      .usage,
      at: "input \(Refusal.quoted(name))",
      rule: "O41",
      problem,
      remedy: "give the input the element type and the fixed extents that the model declares"
    )
  }
}

/// Shape arithmetic along the order of a graph.
private struct ShapeWalk {
  /// Indexed by value.
  private var known: [[Dim]?]
  private var isRead: [Bool]

  init(_ graph: Graph) {
    known = Array(repeating: nil, count: graph.valueCapacity)
    isRead = Array(repeating: false, count: graph.valueCapacity)
  }

  mutating func shapeValue(of id: ValueID, in graph: Graph) -> [Dim]? {
    if !isRead[id.index], let constant = graph[id].constant {
      known[id.index] = ShapeArithmetic.value(of: constant)
      isRead[id.index] = true
    }
    return known[id.index]
  }

  mutating func operands(of node: Node, in graph: Graph) -> [OperandInfo?] {
    node.inputs.map { id in
      guard let id else { return nil }
      let value = graph[id]
      return OperandInfo(
        type: value.type,
        constant: value.constant,
        shapeValue: shapeValue(of: id, in: graph)
      )
    }
  }

  /// Works out the outputs of a node whose operands were visited.
  mutating func visit(_ node: Node, in graph: Graph) {
    let types = node.outputs.map { graph[$0].type }
    guard types.contains(where: ShapeArithmetic.isSmall) else { return }
    let values = ShapeArithmetic.values(of: node.op, operands(of: node, in: graph), outputTypes: types)
    for (output, value) in zip(node.outputs, values) { known[output.index] = value }
  }
}
