internal import BinaryIO

extension GraphValidator {
  /// SSA, order, arity and outputs (O22-O26).
  static func checkStructure(_ graph: Graph) throws(Refusal) {
    var isDefined = [Bool](repeating: false, count: graph.valueCapacity)
    for id in graph.inputs { isDefined[id.index] = true }
    for id in graph.valueIDs where graph[id].isConstant { isDefined[id.index] = true }
    for id in graph.order {
      let node = graph[id]
      try checkOperands(of: id, in: graph, isDefined)
      for output in node.outputs {
        guard graph.contains(output), graph[output].producer == id, !isDefined[output.index] else {
          throw malformed(graph.label(of: id), "O22", "makes a value that something else makes, too")
        }
        isDefined[output.index] = true
      }
      do throws(Refusal) { try TypeInference.checkArity(node) } catch { throw error.at(graph.label(of: id)) }
    }
    try checkOutputs(of: graph, isDefined)
  }

  private static func checkOperands(of id: NodeID, in graph: Graph, _ isDefined: [Bool]) throws(Refusal) {
    for (index, input) in graph[id].inputs.enumerated() {
      guard let input else { continue }
      guard graph.contains(input) else {
        throw malformed(graph.label(of: id), "O23", "operand \(index) was removed")
      }
      guard !isDefined[input.index] else { continue }
      let value = graph[input]
      let when = value.producer.map { "is defined later, by \(graph.label(of: $0))" } ?? "is never defined"
      throw malformed(graph.label(of: id), "O23", "operand \(index), \(Refusal.quoted(value.name)), \(when)")
    }
  }

  private static func checkOutputs(of graph: Graph, _ isDefined: [Bool]) throws(Refusal) {
    guard !graph.outputs.isEmpty else { throw malformed("graph outputs", "O25", "there are none") }
    var seen = Set<ValueID>()
    for id in graph.outputs {
      guard graph.contains(id), isDefined[id.index] else {
        throw malformed("graph outputs", "O24", "one is a value that nothing makes")
      }
      guard seen.insert(id).inserted else {
        throw malformed("graph outputs", "O24", "\(Refusal.quoted(graph[id].name)) is listed twice")
      }
    }
  }
}
