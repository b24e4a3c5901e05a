public import GraphIR

/// An input that samples must fill.
public struct ModelInput: Hashable, Sendable {
  public var name: String
  public var type: TensorType
  /// How many rows the smallest table has that its integers pick from; nil where they pick from none.
  package var rows: Int?

  public init(name: String, type: TensorType) {
    self.name = name
    self.type = type
  }

  /// The inputs of a graph, in its order.
  public static func inputs(of graph: Graph) -> [ModelInput] {
    graph.inputs.map { id in
      var input = ModelInput(name: graph[id].name, type: graph[id].type)
      if input.type.dtype.isInteger { input.rows = rows(pickedBy: id, graph) }
      return input
    }
  }

  /// The extent of the smallest axis that a value picks from, through conversions and changes of shape.
  private static func rows(pickedBy id: ValueID, _ graph: Graph) -> Int? {
    var pending = [id]
    var smallest: Int?
    while let value = pending.popLast() {
      for user in graph.users(of: value) {
        let node = graph[user]
        switch node.op {
        case .gather(let op):
          guard node.inputs[1] == value, let dims = node.inputs[0].map({ graph[$0].type.dims }) else {
            continue
          }
          let axis = op.axis < 0 ? op.axis + dims.count : op.axis
          guard dims.indices.contains(axis), let extent = dims[axis].value else { continue }
          smallest = min(smallest ?? extent, extent)
        case .cast, .reshape, .flatten, .squeeze, .unsqueeze, .transpose, .slice, .expand:
          if node.inputs[0] == value { pending += node.outputs }
        default: continue
        }
      }
    }
    return smallest
  }

  /// The type without its leading sample axis.
  var sampleDims: ArraySlice<Dim> { type.dims.dropFirst() }

  /// Name and type, for messages.
  package var description: String { "\"\(name)\" (\(type))" }
}
