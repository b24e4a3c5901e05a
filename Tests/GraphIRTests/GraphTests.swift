import BinaryIO
import GraphIR
import TestSupport
import Testing

@Suite("Graph") struct GraphTests {
  static let scalar = TensorType(.float32, [])

  /// Adds a pointwise node.
  @discardableResult
  static func add(_ op: Op, _ inputs: [ValueID?], to graph: inout Graph, _ name: String = "v") -> ValueID {
    let node = graph.addNode(op, inputs: inputs, outputNames: [name], outputTypes: [scalar])
    return graph[node].outputs[0]
  }

  static let relu = Op.unary(Unary(.relu))
  static let sum = Op.binary(Binary(.add))

  /// What the table of users must hold, worked out anew; per value in order of ids.
  static func checkInvariants(_ graph: Graph, sourceLocation: SourceLocation = #_sourceLocation) {
    var users: [ValueID: [NodeID]] = [:]
    for id in graph.order {
      #expect(graph.contains(id), sourceLocation: sourceLocation)
      for case let input? in graph[id].inputs { users[input, default: []].append(id) }
      for output in graph[id].outputs {
        #expect(graph[output].producer == id, sourceLocation: sourceLocation)
      }
    }
    for id in graph.valueIDs {
      let name = graph[id].name
      let found = Dictionary(grouping: graph.users(of: id)) { $0 }.mapValues(\.count)
      let wanted = Dictionary(grouping: users[id] ?? []) { $0 }.mapValues(\.count)
      #expect(found == wanted, "users of \(name)", sourceLocation: sourceLocation)
      #expect(graph.value(named: name) == id, sourceLocation: sourceLocation)
      #expect(graph.isOutput(id) == graph.outputs.contains(id), sourceLocation: sourceLocation)
    }
    #expect(Set(graph.order).count == graph.order.count, sourceLocation: sourceLocation)
  }

  @Test("Random edits keep users, names, outputs and order right", arguments: 1...12 as ClosedRange<UInt64>)
  func randomEdits(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    var graph = Graph(name: "g")
    for _ in 0..<3 { graph.addInput("x", Self.scalar) }
    graph.addConstant("c", try .floats([1], []))
    func anyValue() -> ValueID { graph.valueIDs[random.int(0...(graph.valueIDs.count - 1))] }
    for step in 0..<200 {
      switch random.int(0...8) {
      case 0...3: Self.add(Self.sum, [anyValue(), random.bool() ? anyValue() : nil], to: &graph)
      case 4: if graph.outputs.count < 5 { graph.addOutput(anyValue()) }
      case 5:
        if !graph.outputs.isEmpty {
          graph.setOutput(random.int(0...(graph.outputs.count - 1)), to: anyValue())
        }
      case 6: graph.rename(anyValue(), to: random.bool() ? "x" : "fresh")
      case 7:
        let old = anyValue()
        let later = graph.valueIDs.filter { $0 == old || graph[$0].producer == nil }
        graph.replaceUses(of: old, with: later[random.int(0...(later.count - 1))])
      default:
        let idle = graph.order.filter { id in
          graph[id].outputs.allSatisfy { graph.users(of: $0).isEmpty && !graph.isOutput($0) }
        }
        if let last = idle.last { graph.erase(last) }
      }
      if step % 4 == 0 { Self.checkInvariants(graph) }
    }
    try graph.sortTopologically()
    Self.checkInvariants(graph)
    graph.removeUnused()
    Self.checkInvariants(graph)
    let changed = graph.removeUnused()
    #expect(!changed)
    if graph.outputs.isEmpty { #expect(graph.order.isEmpty) }
  }

  @Test("Names are made unique")
  func uniqueNames() {
    var graph = Graph(name: "g")
    let ids = (0..<4).map { _ in graph.addInput("x", Self.scalar) }
    #expect(ids.map { graph[$0].name } == ["x", "x_1", "x_2", "x_3"])
    graph.rename(ids[0], to: "x_2")
    #expect(graph[ids[0]].name == "x_2_1")
    #expect(graph.value(named: "x") == nil)
    graph.rename(ids[3], to: "x")
    #expect(graph[ids[3]].name == "x")
  }

  @Test("Replacing uses moves outputs, too, and spares the exception")
  func replaceUses() {
    var graph = Graph(name: "g")
    let x = graph.addInput("x", Self.scalar)
    let y = Self.add(Self.relu, [x], to: &graph, "y")
    let both = Self.add(Self.sum, [y, y], to: &graph, "both")
    let other = Self.add(Self.relu, [y], to: &graph, "other")
    graph.addOutput(y)
    graph.addOutput(both)
    #expect(!graph.hasSingleUse(y) && !graph.hasSingleUse(other))
    graph.replaceUses(of: y, with: other, except: graph[other].producer)
    Self.checkInvariants(graph)
    #expect(graph.outputs == [other, both])
    #expect(graph.users(of: y).count == 1 && graph.hasSingleUse(y))
    #expect(graph.users(of: other).count == 2)
    graph.replaceUses(of: other, with: other)
    #expect(graph.outputs == [other, both])
    Self.checkInvariants(graph)
  }

  @Test("Sorting puts producers before users and keeps the order of the rest")
  func sort() throws {
    var graph = Graph(name: "g")
    let x = graph.addInput("x", Self.scalar)
    let a = Self.add(Self.relu, [x], to: &graph, "a")
    let b = Self.add(Self.relu, [x], to: &graph, "b")
    let c = Self.add(Self.relu, [x], to: &graph, "c")
    graph.addOutput(a)
    let node = try #require(graph[a].producer)
    graph.setInputs([c], of: node)
    try graph.sortTopologically()
    #expect(graph.order.flatMap { graph[$0].outputs } == [c, a, b])
    Self.checkInvariants(graph)
  }

  @Test("A cycle is refused, whatever its length", arguments: [1, 2, 50])
  func cycle(length: Int) throws {
    var graph = Graph(name: "g")
    let x = graph.addInput("x", Self.scalar)
    var last = x
    for _ in 0..<length { last = Self.add(Self.relu, [last], to: &graph) }
    graph.setInputs([last], of: graph.order[0])
    expectRefusal(rule: "O23", containing: "is part of a cycle") { try graph.sortTopologically() }
  }

  @Test("A diamond is no cycle")
  func diamond() throws {
    var graph = Graph(name: "g")
    let x = graph.addInput("x", Self.scalar)
    let a = Self.add(Self.relu, [x], to: &graph)
    let left = Self.add(Self.relu, [a], to: &graph)
    graph.addOutput(Self.add(Self.sum, [Self.add(Self.relu, [left], to: &graph), left], to: &graph))
    let before = graph.order
    try graph.sortTopologically()
    #expect(graph.order == before)
  }

  @Test("What no output needs is removed, and inputs stay")
  func removeUnused() throws {
    var graph = Graph(name: "g")
    let x = graph.addInput("x", Self.scalar)
    let unusedInput = graph.addInput("unused", Self.scalar)
    let used = graph.addConstant("used", try .floats([1], []))
    graph.addConstant("idle", try .floats([1], []))
    let dying = graph.addConstant("dying", try .floats([1], []))
    let y = Self.add(Self.sum, [x, used], to: &graph, "y")
    Self.add(Self.relu, [Self.add(Self.sum, [y, dying], to: &graph, "dead")], to: &graph, "deader")
    graph.addOutput(y)
    let changed = graph.removeUnused()
    #expect(changed)
    #expect(graph.valueIDs.map { graph[$0].name } == ["x", "unused", "used", "y"])
    #expect(graph.contains(unusedInput) && graph.order.count == 1)
    #expect(graph.users(of: y).isEmpty)
    Self.checkInvariants(graph)
    let changedAgain = graph.removeUnused()
    #expect(!changedAgain)
  }

  @Test("A chain of 20,000 nodes is sorted, rewired, erased and swept in linear time")
  func manyNodes() throws {
    var graph = Graph(name: "g")
    let x = graph.addInput("x", Self.scalar)
    let shared = graph.addInput("shared", Self.scalar)
    var last = x
    for _ in 0..<20_000 { last = Self.add(Self.sum, [last, shared], to: &graph) }
    graph.addOutput(x)
    try graph.sortTopologically()
    let other = graph.addInput("other", Self.scalar)
    graph.replaceUses(of: shared, with: other)
    #expect(graph.users(of: other).count == 20_000)
    for id in graph.order.suffix(12_000).reversed() { graph.erase(id) }
    #expect(graph.order.count == 8_000)
    let changed = graph.removeUnused()
    #expect(changed)
    #expect(graph.order.isEmpty && graph.users(of: other).isEmpty)
  }

  @Test("A node that is added with its rule gets its types, and a refusal names it")
  func addNodeByRule() throws {
    var graph = Graph(name: "g")
    let x = graph.addInput("x", TensorType(.float32, [2, 3]))
    let shape = graph.addConstant("shape", try .int64s([3, -1]))
    let node = try graph.addNode(.reshape(Reshape()), inputs: [x, shape], outputNames: ["y"])
    #expect(graph[graph[node].outputs[0]].type == TensorType(.float32, [3, 2]))
    expectRefusal(rule: "T-concat", containing: "node \"z\" (concat)") {
      try graph.addNode(.concat(Concat(axis: 9)), inputs: [x], outputNames: ["z"])
    }
  }
}
