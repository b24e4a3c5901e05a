internal import BinaryIO
internal import Glibc
internal import GraphIR
internal import Passes

/// The operators that `--keep-float` names.
enum KeptFloat {
  /// The nodes that patterns match, and those that share a weight with one of them.
  ///
  /// A pattern is an exact name or has `*`, `?` and `[...]` as in file names, `*` also across slashes. It is compared with a
  /// node's own name, the names of its results, and those of its constants, which are its weights.
  ///
  /// - Throws: A refusal (C5) when a pattern matches nothing; it tells the nearest names.
  static func nodes(matching patterns: [String], in graph: Graph) throws(Refusal) -> [NodeID: FloatFormat] {
    guard !patterns.isEmpty else { return [:] }
    let nodes = graph.order.map { (id: $0, names: names(of: $0, graph)) }
    var chosen: [NodeID] = []
    for pattern in patterns {
      let matching = nodes.filter { $0.names.contains { matches(pattern, $0) } }
      guard !matching.isEmpty else { throw refusal(pattern, nodes.flatMap(\.names)) }
      chosen += matching.map(\.id)
    }
    var result: [NodeID: FloatFormat] = [:]
    for id in QuantizationTargets.closure(of: chosen, in: graph) { result[id] = .float32 }
    return result
  }

  /// For metadata, in order of execution, such as `conv1 (f32), fc (f16)`; nil where nothing is kept.
  static func text(_ kept: [NodeID: FloatFormat], in graph: Graph) -> String? {
    let parts = graph.order.compactMap { id in
      kept[id].map { "\(graph[graph[id].outputs[0]].name) (\($0.rawValue))" }
    }
    return parts.isEmpty ? nil : parts.joined(separator: ", ")
  }

  private static func names(of id: NodeID, _ graph: Graph) -> [String] {
    let node = graph[id]
    let constants = node.inputs.compactMap(\.self).filter { graph[$0].isConstant }
    return ([node.name] + (node.outputs + constants).map { graph[$0].name }).filter { !$0.isEmpty }
  }

  static func matches(_ pattern: String, _ name: String) -> Bool {
    unsafe pattern == name || fnmatch(pattern, name, FNM_NOESCAPE) == 0
  }

  private static func refusal(_ pattern: String, _ names: [String]) -> Refusal {
    let near = nearest(to: pattern, among: names, count: 3).map { Refusal.quoted($0) }
    return Refusal(
      .usage,
      at: "--keep-float \(Refusal.quoted(pattern))",
      rule: "C5",
      "matches no node, value or weight of the network",
      remedy: "the nearest names are \(near.joined(separator: ", "))"
    )
  }

  /// The names that hold something nearest to the pattern, by edits; of equals the shortest ones, then the first ones.
  static func nearest(to pattern: String, among names: [String], count: Int) -> [String] {
    let wanted = Array(pattern.unicodeScalars.filter { !"*?".unicodeScalars.contains($0) }.prefix(200))
    typealias Ranked = (edits: Int, length: Int, order: Int, name: String)
    var seen: Set<String> = []
    let ranked = names.filter { seen.insert($0).inserted }.enumerated().map { order, name -> Ranked in
      let letters = Array(name.unicodeScalars.prefix(200))
      return (edits: edits(wanted, in: letters), length: letters.count, order: order, name: name)
    }
    return ranked.sorted { ($0.edits, $0.length, $0.order) < ($1.edits, $1.length, $1.order) }
      .prefix(count).map(\.name)
  }

  /// The least edits that turn `word` into a part of `text`.
  private static func edits(_ word: [Unicode.Scalar], in text: [Unicode.Scalar]) -> Int {
    var row = [Int](repeating: 0, count: text.count + 1)
    for (i, x) in word.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, y) in text.enumerated() {
        let substituted = diagonal + (x == y ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(substituted, diagonal + 1, row[j] + 1)
      }
    }
    return row.min() ?? word.count
  }
}
