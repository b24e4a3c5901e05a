internal import BinaryIO

extension GraphValidator {
  /// Counts, names, texts and attributes (L5-L7, O20).
  static func checkLimits(_ graph: Graph, _ limits: Limits) throws(Refusal) {
    let values = graph.valueIDs
    try checkCount(values.count, "values", limits)
    try checkCount(graph.order.count, "nodes", limits)
    for id in values { try checkName(graph[id].name, of: "value", limits, mayBeEmpty: false) }
    for id in graph.order { try checkNode(id, of: graph, limits) }
    try checkName(graph.name, of: "graph", limits, mayBeEmpty: true)
    for key in graph.metadata.keys.sorted() {
      try checkName(key, of: "metadata key", limits, mayBeEmpty: false)
      let bytes = graph.metadata[key]?.utf8.count ?? 0
      guard bytes <= limits.textBytes else {
        throw tooMany("metadata \(Refusal.quoted(key))", "L7", "has \(bytes) bytes", limits.textBytes)
      }
    }
  }

  /// Rank and extents of a value (L1-L3, O31).
  static func checkType(_ value: Value, _ limits: Limits) throws(Refusal) {
    let type = value.type
    guard type.rank <= limits.rank else {
      throw tooMany(place(value), "L1", "has rank \(type.rank)", limits.rank)
    }
    for dim in type.dims {
      guard let extent = dim.value else { continue }
      guard extent >= 0 else {
        throw malformed(place(value), "O31", "has the extent \(extent), which is negative")
      }
      guard extent <= limits.dimension else {
        throw tooMany(place(value), "L2", "has the extent \(extent)", limits.dimension)
      }
    }
    let known = type.dims.compactMap(\.value)
    let nonZero = Checked.product(known.filter { $0 > 0 })
    guard let nonZero, nonZero <= limits.elements else {
      throw tooMany(
        place(value),
        "L3",
        "has \(nonZero.map(String.init) ?? "over 2^63") elements",
        limits.elements
      )
    }
  }

  private static func checkNode(_ id: NodeID, of graph: Graph, _ limits: Limits) throws(Refusal) {
    let node = graph[id]
    try checkName(node.name, of: "node", limits, mayBeEmpty: true)
    let arity = node.inputs.count + node.outputs.count
    guard arity <= limits.nodeArity else {
      throw tooMany(graph.label(of: id), "L6", "has \(arity) operands and outputs", limits.nodeArity)
    }
    let entries = node.op.payload.attributes.entries
    guard entries.count <= limits.attributes else {
      throw tooMany(graph.label(of: id), "L6", "has \(entries.count) attributes", limits.attributes)
    }
    for entry in entries {
      let items = items(of: entry.value)
      guard items <= limits.attributeItems else {
        throw tooMany(
          graph.label(of: id),
          "L6",
          "attribute '\(entry.name)' has \(items) items",
          limits.attributeItems
        )
      }
    }
  }

  private static func items(of value: AttributeValue) -> Int {
    switch value {
    case .int, .float: 1
    case .string(let text): text.utf8.count
    case .ints(let ints): ints.count
    case .floats(let floats): floats.count
    }
  }

  private static func checkCount(_ count: Int, _ what: String, _ limits: Limits) throws(Refusal) {
    guard count <= limits.objects else {
      throw tooMany("graph", "L5", "has \(count) \(what)", limits.objects)
    }
  }

  private static func checkName(
    _ name: String,
    of what: String,
    _ limits: Limits,
    mayBeEmpty: Bool
  ) throws(Refusal) {
    guard mayBeEmpty || !name.isEmpty else { throw malformed(what, "O20", "has an empty name") }
    func place() -> String { "\(what) \(Refusal.quoted(name))" }
    guard name.utf8.count <= limits.nameBytes else {
      throw tooMany(place(), "L7", "has a name of \(name.utf8.count) bytes", limits.nameBytes)
    }
    guard name.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
      throw malformed(place(), "L7", "has a control character in its name")
    }
  }

  private static func tooMany(_ place: String, _ rule: String, _ found: String, _ limit: Int) -> Refusal {
    Refusal(
      .limit,
      at: place,
      rule: rule,
      "\(found), at most \(limit) are accepted",
      remedy: "split or simplify the model"
    )
  }
}
