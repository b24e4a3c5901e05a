import BinaryIO
import GraphIR

/// How much memory the activations of a graph take at once.
enum ActivationMemory {
  /// The largest sum of the sizes of values that are alive together, at batch 1, in bytes.
  ///
  /// A value lives from the node that makes it to its last user; inputs live from the start, outputs to the end. Values
  /// that depend on constants only do not count. Where a node computes in integers, the floats between
  /// `dequantize_linear`, the node and `quantize_linear` exist in registers only and do not count either.
  ///
  /// - Returns: Nil when a shape is not known after the first extent of every input was set to 1.
  static func peak(of graph: Graph) -> Int? {
    guard let bound = atBatchOne(graph) else { return nil }
    let analysis = GraphAnalysis(bound)
    var last: [ValueID: Int] = [:]
    for (step, node) in bound.order.enumerated() {
      for input in analysis.variableInputs(bound[node]) { extend(&last, input, to: step, bound) }
    }
    for output in bound.outputs { extend(&last, output, to: bound.order.count, bound) }
    var released: [Int: [ValueID]] = [:]
    for id in bound.valueIDs { if let step = last[id] { released[step, default: []].append(id) } }
    var alive = 0
    for input in bound.inputs {
      guard let size = size(of: input, analysis) else { return nil }
      alive += last[input] == nil ? 0 : size
    }
    var peak = alive
    for (step, node) in bound.order.enumerated() {
      for output in bound[node].outputs where last[output] != nil {
        guard let size = size(of: output, analysis), let sum = Checked.sum(alive, size) else { return nil }
        alive = sum
      }
      peak = max(peak, alive)
      for id in released[step] ?? [] { alive -= size(of: id, analysis) ?? 0 }
    }
    return peak
  }

  /// A use of a value; one that only exists in registers keeps what it is made from alive.
  private static func extend(_ last: inout [ValueID: Int], _ id: ValueID, to step: Int, _ graph: Graph) {
    last[id] = max(last[id] ?? step, step)
    guard let producer = graph[id].producer, case .dequantizeLinear = graph[producer].op,
      let source = graph[producer].inputs.first.flatMap({ $0 })
    else { return }
    last[source] = max(last[source] ?? step, step)
  }

  private static func atBatchOne(_ graph: Graph) -> Graph? {
    var types: [String: TensorType] = [:]
    for id in graph.inputs {
      var type = graph[id].type
      guard let first = type.dims.first, first.value == nil else { continue }
      type.dims[0] = .known(1)
      types[graph[id].name] = type
    }
    var bound = graph
    do { try TypeInference.infer(&bound, inputTypes: types) } catch { return nil }
    return bound
  }

  private static func size(of id: ValueID, _ analysis: GraphAnalysis) -> Int? {
    guard !analysis.isFixed.contains(id), !isInRegisters(id, analysis) else { return 0 }
    let type = analysis.graph[id].type
    return type.elementCount.flatMap { Checked.product($0, type.dtype.size) }
  }

  private static func isInRegisters(_ id: ValueID, _ analysis: GraphAnalysis) -> Bool {
    let graph = analysis.graph
    guard let producer = graph[id].producer, !graph.outputs.contains(id) else { return false }
    let users = graph.users(of: id)
    switch graph[producer].op {
    case .dequantizeBias: return true
    case .dequantizeLinear: return users.allSatisfy { analysis.arithmetic(of: $0) == .int8 }
    default:
      return analysis.arithmetic(of: producer) == .int8 && !users.isEmpty
        && users.allSatisfy { analysis.isQuantize($0) }
    }
  }
}
