public import GraphIR

/// An input that samples must fill.
public struct ModelInput: Hashable, Sendable {
  public var name: String
  public var type: TensorType

  public init(name: String, type: TensorType) {
    self.name = name
    self.type = type
  }

  /// The inputs of a graph, in its order.
  public static func inputs(of graph: Graph) -> [ModelInput] {
    graph.inputs.map { ModelInput(name: graph[$0].name, type: graph[$0].type) }
  }

  /// The type without its leading sample axis.
  var sampleDims: ArraySlice<Dim> { type.dims.dropFirst() }

  /// Name and type, for messages.
  package var description: String { "\"\(name)\" (\(type))" }
}
