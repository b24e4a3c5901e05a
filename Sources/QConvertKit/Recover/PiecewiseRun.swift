internal import BinaryIO
internal import GraphIR
internal import Runtime

/// Runs a quantized network on several samples piece by piece, so that every node runs once although weights change on the way.
///
/// Between two pieces it holds, of each sample, the values that later nodes read: u8 tensors where there are such, since
/// dequantizing is part of the piece that needs it. Weights may change as long as the nodes that use them have not run.
struct PiecewiseRun {
  private let threads: Int?
  /// By sample.
  private var values: [[ValueID: Tensor]]
  private var done: Set<NodeID> = []

  /// - Parameter samples: Inputs by name.
  init(_ graph: Graph, samples: [[String: Tensor]], threads: Int?) {
    self.threads = threads
    values = samples.map { sample in
      var own: [ValueID: Tensor] = [:]
      for input in graph.inputs { own[input] = sample[graph[input].name] }
      return own
    }
  }

  var count: Int { values.count }

  /// The value of a sample that ``advance(_:to:)`` went to last.
  func value(_ id: ValueID, of sample: Int) -> Tensor? { values[sample][id] }

  /// How many values are held of a sample.
  func heldValues(of sample: Int) -> Int { values[sample].count }

  /// Runs the nodes that `target` depends on and that have not run.
  mutating func advance(_ graph: Graph, to target: ValueID) throws(Refusal) {
    guard let known = values.first else { return }
    let piece = piece(graph, before: target, known)
    done.formUnion(piece.filter { !isWidening($0, graph) })
    var made = Set(piece.flatMap { graph[$0].outputs }).filter { isAwaited($0, graph) }
    if known[target] == nil { made.insert(target) }
    let kept = Set(known.keys.filter { $0 == target || isAwaited($0, graph) })
    let part = Part(graph, piece, inputs: Set(known.keys), outputs: made.sorted { $0.index < $1.index })
    let session =
      made.isEmpty ? nil : try Session(part.graph, options: QConvert.sessionOptions(threads: threads))
    for sample in values.indices {
      let own = values[sample]
      var next = own.filter { kept.contains($0.key) }
      if let session {
        var inputs: [String: Tensor] = [:]
        for id in part.inputs { inputs[graph[id].name] = own[id] }
        let outputs = try session.run(inputs)
        for id in made { next[id] = outputs[graph[id].name] }
      }
      values[sample] = next
    }
  }

  /// The nodes between the known values and a target.
  private func piece(_ graph: Graph, before target: ValueID, _ known: [ValueID: Tensor]) -> Set<NodeID> {
    var piece: Set<NodeID> = []
    var open = [target]
    while let value = open.popLast() {
      guard known[value] == nil, let producer = graph[value].producer, piece.insert(producer).inserted else {
        continue
      }
      open += graph[producer].inputs.compactMap { $0 }
    }
    return piece
  }

  /// Whether a node that has not run reads the value, dequantizing apart.
  private func isAwaited(_ value: ValueID, _ graph: Graph) -> Bool {
    if let producer = graph[value].producer, isWidening(producer, graph) { return false }
    return graph.users(of: value).contains { user in
      guard isWidening(user, graph) else { return !done.contains(user) }
      return graph.users(of: graph[user].outputs[0]).contains { !done.contains($0) }
    }
  }

  /// Whether a node dequantizes an activation.
  private func isWidening(_ id: NodeID, _ graph: Graph) -> Bool {
    guard case .dequantizeLinear = graph[id].op, let value = graph[id].inputs[0] else { return false }
    return !graph[value].isConstant
  }
}

/// Some nodes of a graph as a graph of its own; values keep their names.
private struct Part {
  private(set) var graph: Graph
  /// Values of the whole graph that are inputs of the part, in order.
  private(set) var inputs: [ValueID] = []

  init(_ whole: Graph, _ nodes: Set<NodeID>, inputs known: Set<ValueID>, outputs: [ValueID]) {
    graph = Graph(name: whole.name)
    var places: [ValueID: ValueID] = [:]
    let order = whole.order.filter(nodes.contains)
    for value in order.flatMap({ whole[$0].inputs.compactMap(\.self) }) where places[value] == nil {
      if let tensor = whole[value].constant {
        places[value] = graph.addConstant(whole[value].name, tensor)
      } else if known.contains(value) {
        places[value] = graph.addInput(whole[value].name, whole[value].type)
        inputs.append(value)
      }
    }
    for id in order {
      let node = whole[id]
      let made = graph.addNode(
        node.op,
        name: node.name,
        inputs: node.inputs.map { $0.flatMap { places[$0] } },
        outputNames: node.outputs.map { whole[$0].name },
        outputTypes: node.outputs.map { whole[$0].type }
      )
      for (old, new) in zip(node.outputs, graph[made].outputs) { places[old] = new }
    }
    for output in outputs { if let place = places[output] { graph.addOutput(place) } }
  }
}
