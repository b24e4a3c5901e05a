import BinaryIO
import GraphIR

/// A graph in ONNX's operators: names instead of ids, and a list of nodes and constants.
final class GraphExporter {
  let graph: Graph
  private(set) var nodes: [ONNXNode] = []
  private(set) var constants: [ONNXConstant] = []
  private(set) var inputs: [(name: String, type: TensorType)] = []
  private(set) var outputs: [(name: String, type: TensorType)] = []
  private var names: UniqueNames
  private var nodeNames = UniqueNames()
  /// Constants that stand in the file as they are in the graph.
  private var exported: Set<ValueID> = []

  /// - Throws: A refusal when ONNX cannot say what an operator does.
  init(_ graph: Graph) throws(Refusal) {
    self.graph = graph
    names = UniqueNames(graph.valueIDs.map { graph[$0].name })
    inputs = graph.inputs.map { (graph[$0].name, graph[$0].type) }
    for id in graph.order {
      let node = NodeExporter(self, id)
      do { try node.export() } catch { throw error.at(graph.label(of: id)) }
    }
    for id in graph.outputs { outputs.append((use(id), graph[id].type)) }
  }

  /// The name of a value; a constant is added to the file.
  func use(_ id: ValueID) -> String {
    let value = graph[id]
    if let tensor = value.constant, exported.insert(id).inserted {
      constants.append(ONNXConstant(value.name, tensor))
    }
    return value.name
  }

  /// Appends a node; its name, if it has one, becomes one that no other node has, which some runtimes insist on.
  func add(_ node: ONNXNode) {
    var node = node
    if !node.name.isEmpty { node.name = nodeNames.take(node.name) }
    nodes.append(node)
  }

  func add(_ constant: ONNXConstant) { constants.append(constant) }

  /// A name that no value has: `base`, or `base` with a number.
  func unique(_ base: String) -> String { names.take(base) }
}
