import BinaryIO
import GraphIR
import Runtime

/// How much memory the activations of a graph take at once.
enum ActivationMemory {
  /// The largest sum of the sizes of values that are alive together when the network runs at batch 1, in bytes.
  ///
  /// Values are those of the steps that the interpreter runs: what exists in registers only does not count.
  ///
  /// - Returns: Nil when a shape is not known after the first extent of every input was set to 1.
  static func peak(of graph: Graph) -> Int? {
    var types: [String: TensorType] = [:]
    for id in graph.inputs {
      var type = graph[id].type
      guard let first = type.dims.first, first.value == nil else { continue }
      type.dims[0] = .known(1)
      types[graph[id].name] = type
    }
    return (try? Program(graph, inputTypes: types))?.peakActivationBytes
  }
}
