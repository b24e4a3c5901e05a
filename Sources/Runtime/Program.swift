package import BinaryIO
package import GraphIR

/// A network made ready for one set of input shapes: its typed graph and the steps that compute it.
package struct Program: Sendable {
  /// The graph with the types of this specialisation.
  package var graph: Graph
  package var steps: [Step]
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
    self.standIns = standIns
  }

  /// Specialises a network for the given input types and lowers it.
  ///
  /// - Throws: A refusal when the types do not fit the network.
  package init(_ graph: Graph, inputTypes: [String: TensorType]) throws(Refusal) {
    var typed = graph
    try TypeInference.infer(&typed, inputTypes: inputTypes)
    self = Lowering.lower(typed)
  }

  /// Whether the value is an input or the result of a step.
  package func isStored(_ id: ValueID) -> Bool {
    graph.inputs.contains(id) || steps.contains { $0.outputs.contains(id) }
  }
}
