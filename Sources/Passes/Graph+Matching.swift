import BinaryIO
import GraphIR

/// What rewriting rules ask of a graph, and the edits they have in common.
extension Graph {
  /// The node that makes a value; nil for inputs and constants.
  func producer(of id: ValueID?) -> (id: NodeID, node: Node)? {
    guard let id, let producer = self[id].producer else { return nil }
    return (producer, self[producer])
  }

  /// The node that uses a value, if it is the only use and the value is no output of the graph.
  func onlyUser(of id: ValueID) -> (id: NodeID, node: Node)? {
    guard hasSingleUse(id), let user = users(of: id).first else { return nil }
    return (user, self[user])
  }

  /// The constant behind an operand.
  func constant(_ id: ValueID?) -> Tensor? {
    guard let id else { return nil }
    return self[id].constant
  }

  /// The number behind an operand that is a constant of one element.
  func scalar(_ id: ValueID?) -> Float? {
    guard let tensor = constant(id), tensor.count == 1 else { return nil }
    return tensor.floatValues()?.first
  }

  /// The elements of an f32 constant with exactly `count` elements.
  func floats(_ id: ValueID?, count: Int) -> [Float]? {
    guard let tensor = constant(id), tensor.dtype == .float32, tensor.count == count else { return nil }
    return tensor.elements(as: Float.self)
  }

  /// Whether a value is an output of the graph.
  func isOutput(_ id: ValueID) -> Bool { outputs.contains(id) }

  /// The only output of a node, for operators that have one.
  func result(of id: NodeID) -> ValueID { self[id].outputs[0] }

  /// Cuts a node, whose outputs nobody uses any more, from its operands; it is removed after the pass.
  mutating func detach(_ id: NodeID) { setInputs([], of: id) }

  /// Puts `new` in the place of `old`: its users, its position as an output, and its name.
  mutating func substitute(_ old: ValueID, by new: ValueID, except exception: NodeID? = nil) {
    let name = self[old].name
    replaceUses(of: old, with: new, except: exception)
    guard self[new].producer != nil else { return }
    rename(old, to: "\(name).replaced")
    rename(new, to: name)
  }

  /// Makes `producer` compute what the node after it did, and cuts that node off.
  ///
  /// The producer's result takes the name, the users and the type of the other node's.
  mutating func absorb(_ node: NodeID, into producer: NodeID, as op: Op, inputs: [ValueID?]? = nil) {
    let old = result(of: node)
    let new = result(of: producer)
    setOp(op, of: producer)
    if let inputs { setInputs(inputs, of: producer) }
    setType(self[old].type, of: new)
    detach(node)
    substitute(old, by: new)
  }
}
