package import BinaryIO
package import GraphIR

/// A network made ready for one set of input shapes: its typed graph and the steps that compute it.
package struct Program: Sendable {
  /// The graph with the types of this specialisation.
  package var graph: Graph
  package var steps: [Step]
  /// What a run is given: the inputs of the graph, or what another part of the network has computed.
  package var inputs: [ValueID]
  /// What a run gives: the outputs of the graph, or what another part of the network reads.
  package var outputs: [ValueID]
  /// For values that exist only as integers: how to show them as floats.
  package var standIns: [ValueID: StandIn]

  /// A float value without storage, told by the quantized value that carries it.
  package struct StandIn: Sendable {
    package var quantized: ValueID
    package var stub: Stub
  }

  package init(graph: Graph, steps: [Step], standIns: [ValueID: StandIn]) {
    self.graph = graph
    self.steps = steps
    inputs = graph.inputs
    outputs = graph.outputs
    self.standIns = standIns
  }

  /// Specialises a network for the given input types and lowers it.
  ///
  /// - Throws: A refusal when the types do not fit the network.
  package init(_ graph: Graph, inputTypes: [String: TensorType]) throws(Refusal) {
    var typed = graph
    try TypeInference.infer(&typed, inputTypes: inputTypes)
    Program.fixShapes(&typed)
    self = Lowering.lower(typed)
  }

  /// Makes constants of the results of shape arithmetic that these types decide.
  private static func fixShapes(_ graph: inout Graph) {
    let known = TypeInference.shapeValues(graph)
    for id in graph.order {
      for output in graph[id].outputs where !graph.users(of: output).isEmpty {
        let type = graph[output].type
        guard type.dtype == .int64, let dims = known[output] else { continue }
        let values = dims.compactMap(\.value)
        guard values.count == dims.count, let shape = type.knownDims, shape.reduce(1, *) == values.count,
          let tensor = try? Tensor.int64s(values, shape)
        else { continue }
        let constant = graph.addConstant("\(graph[output].name).value", tensor)
        for user in graph.users(of: output) {
          graph.setInputs(graph[user].inputs.map { $0 == output ? constant : $0 }, of: user)
        }
      }
    }
  }

  /// Whether the value is an input or the result of a step.
  package func isStored(_ id: ValueID) -> Bool {
    inputs.contains(id) || steps.contains { $0.outputs.contains(id) }
  }
}
