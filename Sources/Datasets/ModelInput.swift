package import GraphIR

/// An input that samples must fill.
package struct ModelInput: Hashable, Sendable {
  package var name: String
  package var type: TensorType

  package init(name: String, type: TensorType) {
    self.name = name
    self.type = type
  }

  /// The inputs of a graph, in its order.
  package static func inputs(of graph: Graph) -> [ModelInput] {
    graph.inputs.map { ModelInput(name: graph[$0].name, type: graph[$0].type) }
  }

  /// The type without its leading sample axis.
  var sampleDims: ArraySlice<Dim> { type.dims.dropFirst() }

  var description: String { "\"\(name)\" (\(type))" }
}
