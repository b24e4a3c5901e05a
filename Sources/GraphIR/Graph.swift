public import BinaryIO

/// Identifies a value of a ``Graph``.
public struct ValueID: Hashable, Sendable {
  package let index: Int

  package init(_ index: Int) { self.index = index }
}

/// Identifies a node of a ``Graph``.
public struct NodeID: Hashable, Sendable {
  package let index: Int

  package init(_ index: Int) { self.index = index }
}

/// What flows between nodes: a graph input, a constant, or the output of a node.
public struct Value: Sendable {
  /// Unique within the graph.
  public internal(set) var name: String
  public var type: TensorType
  /// The node that makes it; nil for inputs and constants.
  public internal(set) var producer: NodeID?
  /// Its elements, for a constant.
  public internal(set) var constant: Tensor?

  public var isConstant: Bool { constant != nil }
}

/// One application of an operator.
public struct Node: Sendable {
  /// For messages; not necessarily unique.
  public var name: String
  public var op: Op
  /// Operands; nil is an absent optional one.
  ///
  /// Changed through ``Graph`` only, which keeps the users.
  public internal(set) var inputs: [ValueID?]
  public internal(set) var outputs: [ValueID]
}

/// A network: typed values and the nodes between them, as a value type.
///
/// Nodes and values live in arenas and are named by ids that stay valid while others are erased. ``order`` is a
/// topological order; edits append to it, and ``sortTopologically()`` restores it.
public struct Graph: Sendable {
  public var name: String
  /// Text that travels with the network; keys are listed in ``MetadataKey``.
  public var metadata: [String: String] = [:]
  public private(set) var inputs: [ValueID] = []
  public private(set) var outputs: [ValueID] = []

  private var appended: [NodeID] = []
  /// How many entries of ``appended`` name an erased node.
  private var staleCount = 0
  private var values: [Value?] = []
  private var nodes: [Node?] = []
  private var userTable: [[NodeID]] = []
  /// How often each value is listed in ``outputs``.
  private var outputUses: [Int] = []
  private var names: [String: ValueID] = [:]
  private var nextSuffix: [String: Int] = [:]

  public init(name: String) { self.name = name }

  // MARK: Looking

  public subscript(id: ValueID) -> Value {
    get {
      guard let value = values[id.index] else { preconditionFailure("value \(id.index) was erased") }
      return value
    }
  }

  public subscript(id: NodeID) -> Node {
    get {
      guard let node = nodes[id.index] else { preconditionFailure("node \(id.index) was erased") }
      return node
    }
  }

  /// Live nodes, producers before users.
  ///
  /// - Complexity: O(1), or O(n) after nodes were erased one by one until the next edit that compacts it.
  public var order: [NodeID] { staleCount == 0 ? appended : appended.filter(contains) }

  /// Ids of all live values, in order of creation.
  public var valueIDs: [ValueID] { values.indices.filter { values[$0] != nil }.map { ValueID($0) } }

  /// Whether the node still exists.
  public func contains(_ id: NodeID) -> Bool { nodes.indices.contains(id.index) && nodes[id.index] != nil }

  /// Whether the value still exists.
  public func contains(_ id: ValueID) -> Bool { values.indices.contains(id.index) && values[id.index] != nil }

  /// Whether the value is an output of the graph.
  public func isOutput(_ id: ValueID) -> Bool { outputUses[id.index] > 0 }

  /// One past the largest index of any value, for tables indexed by value.
  public var valueCapacity: Int { values.count }

  /// The nodes that use a value, one entry per use, in order of creation.
  public func users(of id: ValueID) -> [NodeID] { userTable[id.index] }

  /// Whether exactly one operand of one node uses the value, and it is no output of the graph.
  public func hasSingleUse(_ id: ValueID) -> Bool { userTable[id.index].count == 1 && !isOutput(id) }

  public func value(named name: String) -> ValueID? { names[name] }

  /// The node's name, or the name of its first output, for messages.
  public func label(of id: NodeID) -> String {
    let node = self[id]
    let own = node.name.isEmpty ? node.outputs.first.map { self[$0].name } ?? "" : node.name
    return "node \(Refusal.quoted(own)) (\(node.op.name))"
  }

  // MARK: Building

  /// A name that no value has: `base`, or `base` with the next free number.
  public mutating func uniqueName(_ base: String) -> String {
    guard names[base] != nil else { return base }
    var suffix = nextSuffix[base] ?? 1
    while names["\(base)_\(suffix)"] != nil { suffix += 1 }
    nextSuffix[base] = suffix + 1
    return "\(base)_\(suffix)"
  }

  @discardableResult
  public mutating func addInput(_ name: String, _ type: TensorType) -> ValueID {
    let id = addValue(Value(name: name, type: type))
    inputs.append(id)
    return id
  }

  @discardableResult
  public mutating func addConstant(_ name: String, _ tensor: Tensor) -> ValueID {
    addValue(Value(name: name, type: tensor.type, constant: tensor))
  }

  /// Appends a node and makes its output values, named after `outputNames` (made unique).
  @discardableResult
  public mutating func addNode(
    _ op: Op,
    name: String = "",
    inputs: [ValueID?],
    outputNames: [String],
    outputTypes: [TensorType]
  ) -> NodeID {
    precondition(outputNames.count == outputTypes.count)
    let id = NodeID(nodes.count)
    let outputs = zip(outputNames, outputTypes).map { addValue(Value(name: $0, type: $1, producer: id)) }
    nodes.append(Node(name: name, op: op, inputs: inputs, outputs: outputs))
    for case let input? in inputs { userTable[input.index].append(id) }
    appended.append(id)
    return id
  }

  /// Appends a node whose output types follow from its operator.
  ///
  /// - Throws: The refusal of the operator's type rule, with the node's name.
  @discardableResult
  public mutating func addNode(
    _ op: Op,
    name: String = "",
    inputs: [ValueID?],
    outputNames: [String]
  ) throws(Refusal) -> NodeID {
    let operands = inputs.map { id in
      id.map { id in
        let constant = self[id].constant
        let shapeValue = constant.flatMap(ShapeArithmetic.value(of:))
        return OperandInfo(type: self[id].type, constant: constant, shapeValue: shapeValue)
      }
    }
    var types: [TensorType]
    do { types = try op.payload.inferTypes(operands) } catch {
      throw error.at("node \(Refusal.quoted(name.isEmpty ? outputNames.first ?? "" : name)) (\(op.name))")
    }
    types = Array(types.prefix(outputNames.count))
    return addNode(op, name: name, inputs: inputs, outputNames: outputNames, outputTypes: types)
  }

  /// Marks a value as an output of the graph.
  public mutating func addOutput(_ id: ValueID) {
    outputs.append(id)
    outputUses[id.index] += 1
  }

  // MARK: Editing

  /// Replaces the operator of a node; its operands stay.
  public mutating func setOp(_ op: Op, of id: NodeID) { nodes[id.index]?.op = op }

  /// Replaces all operands of a node.
  public mutating func setInputs(_ inputs: [ValueID?], of id: NodeID) {
    for case let old? in self[id].inputs { removeUse(of: old, by: id) }
    nodes[id.index]?.inputs = inputs
    for case let new? in inputs { userTable[new.index].append(id) }
  }

  /// Replaces the elements of a constant, and with them its type.
  public mutating func setConstant(_ tensor: Tensor, of id: ValueID) {
    precondition(self[id].producer == nil && self[id].isConstant)
    values[id.index]?.constant = tensor
    values[id.index]?.type = tensor.type
  }

  public mutating func setType(_ type: TensorType, of id: ValueID) { values[id.index]?.type = type }

  /// Gives a value another name, made unique.
  public mutating func rename(_ id: ValueID, to name: String) {
    guard self[id].name != name else { return }
    names[self[id].name] = nil
    let unique = uniqueName(name)
    values[id.index]?.name = unique
    names[unique] = id
  }

  /// Makes every user of `old`, and the list of outputs, use `new` instead.
  ///
  /// - Parameter exception: A node that keeps using `old`, such as the one that makes `new` from it.
  public mutating func replaceUses(of old: ValueID, with new: ValueID, except exception: NodeID? = nil) {
    guard old != new else { return }
    let users = userTable[old.index]
    userTable[old.index] = users.filter { $0 == exception }
    for user in users where user != exception {
      let inputs = self[user].inputs.map { $0 == old ? new : $0 }
      nodes[user.index]?.inputs = inputs
      userTable[new.index].append(user)
    }
    guard isOutput(old) else { return }
    outputs = outputs.map { $0 == old ? new : $0 }
    outputUses[new.index] += outputUses[old.index]
    outputUses[old.index] = 0
  }

  /// Exchanges one graph output for another value.
  public mutating func setOutput(_ index: Int, to id: ValueID) {
    outputUses[outputs[index].index] -= 1
    outputs[index] = id
    outputUses[id.index] += 1
  }

  /// Removes a node and its outputs, which nobody may use any more.
  public mutating func erase(_ id: NodeID) {
    let node = self[id]
    for output in node.outputs {
      precondition(
        userTable[output.index].isEmpty && !isOutput(output),
        "\(self[output].name) is still used"
      )
    }
    for case let input? in node.inputs { removeUse(of: input, by: id) }
    for output in node.outputs { eraseValue(output) }
    nodes[id.index] = nil
    staleCount += 1
    if staleCount > 64, staleCount > appended.count / 2 { compactOrder() }
  }

  /// Removes nodes that nothing needs and constants that nobody uses.
  ///
  /// - Returns: Whether anything was removed.
  @discardableResult
  public mutating func removeUnused() -> Bool {
    let order = self.order
    var isNeeded = outputUses.map { $0 > 0 }
    var isLive = [Bool](repeating: false, count: nodes.count)
    for id in order.reversed() where self[id].outputs.contains(where: { isNeeded[$0.index] }) {
      isLive[id.index] = true
      for case let input? in self[id].inputs { isNeeded[input.index] = true }
    }
    let dead = order.filter { !isLive[$0.index] }
    for input in Set(dead.flatMap { self[$0].inputs.compactMap(\.self) }) {
      userTable[input.index].removeAll { !isLive[$0.index] }
    }
    for id in dead {
      for output in self[id].outputs { eraseValue(output) }
      nodes[id.index] = nil
    }
    staleCount += dead.count
    compactOrder()
    let idle = valueIDs.filter { self[$0].isConstant && userTable[$0.index].isEmpty && !isOutput($0) }
    for id in idle { eraseValue(id) }
    return !dead.isEmpty || !idle.isEmpty
  }

  /// Restores ``order`` after edits: every node directly before its first user or where it stood.
  ///
  /// - Throws: A refusal when the graph has a cycle.
  public mutating func sortTopologically() throws(Refusal) {
    enum Visit { case new, open, done }
    var state = [Visit](repeating: .new, count: nodes.count)
    let order = self.order
    var sorted: [NodeID] = []
    sorted.reserveCapacity(order.count)
    for root in order where state[root.index] == .new {
      var stack = [root]
      while let id = stack.last {
        guard state[id.index] == .new else {
          stack.removeLast()
          if state[id.index] == .open { sorted.append(id) }
          state[id.index] = .done
          continue
        }
        state[id.index] = .open
        for case let input? in self[id].inputs.reversed() {
          guard let producer = self[input].producer else { continue }
          switch state[producer.index] {
          case .new: stack.append(producer)
          case .done: break
          case .open:
            throw Refusal(
              .invalid,
              at: label(of: id),
              rule: "O23",
              "is part of a cycle",
              remedy: "export the model again; a graph must be acyclic"
            )
          }
        }
      }
    }
    appended = sorted
    staleCount = 0
  }

  private mutating func compactOrder() {
    appended = order
    staleCount = 0
  }

  private mutating func addValue(_ value: Value) -> ValueID {
    let id = ValueID(values.count)
    var value = value
    value.name = uniqueName(value.name)
    names[value.name] = id
    values.append(value)
    userTable.append([])
    outputUses.append(0)
    return id
  }

  private mutating func eraseValue(_ id: ValueID) {
    names[self[id].name] = nil
    values[id.index] = nil
    userTable[id.index] = []
  }

  private mutating func removeUse(of value: ValueID, by node: NodeID) {
    guard let index = useIndex(of: value, by: node) else { return }
    userTable[value.index].remove(at: index)
  }

  /// Searches from both ends, since nodes are mostly erased in order or in reverse.
  private func useIndex(of value: ValueID, by node: NodeID) -> Int? {
    let users = userTable[value.index]
    for front in 0..<(users.count + 1) / 2 {
      let back = users.count - 1 - front
      if users[back] == node { return back }
      if users[front] == node { return front }
    }
    return nil
  }
}

/// Keys of ``Graph/metadata``.
public enum MetadataKey {
  /// Preprocessing of image inputs, as `Preprocessing.description` writes it.
  public static let preprocessing = "preprocessing"
  /// Names of the passes that ran, separated by commas.
  public static let passes = "passes"
  /// How activations were calibrated: observer, samples, digest.
  public static let calibration = "calibration"
  /// Format of the file the network came from, such as `onnx opset 17`.
  public static let source = "source"
  /// The program that wrote that file.
  public static let producer = "producer"
  /// Before keys of an ONNX file's own metadata.
  public static let onnxPrefix = "onnx."
  /// Before keys of this list in an ONNX file's metadata.
  public static let ownPrefix = "qconvert."
  /// Architecture that gave a bare checkpoint its graph.
  public static let architecture = "architecture"
  /// The family of networks that the quantization is set up for, and why.
  public static let preset = "preset"
  /// What was done before calibration so that quantization costs less.
  public static let recovery = "recovery"
  /// Operators that were kept in float on request or for a budget, and how their weights are stored.
  public static let keptFloat = "kept_float"
  /// What a conversion under a budget of accuracy found.
  public static let budget = "budget"
  /// The quantization scheme, such as `int8 per-channel static`.
  public static let scheme = "scheme"
}
