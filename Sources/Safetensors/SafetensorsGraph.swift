package import BinaryIO
package import GraphIR

/// A whole network in a safetensors file: its constants as tensors, its graph as text in the metadata.
///
/// The graph is in the `.qir` text form under ``textKey``, every constant a tensor under the name of its value.
/// Reading gives back the graph that was written: the same text, the same bytes.
package enum SafetensorsGraph {
  /// Metadata key of the graph in the `.qir` text form.
  package static let textKey = "qconvert.graph"
  /// Metadata key of the version of this convention.
  package static let versionKey = "qconvert.graph_version"
  /// The version written, and the only one read.
  package static let version = "1"

  /// Whether the file says that it holds a graph.
  package static func isPresent(in file: SafetensorsFile) -> Bool {
    file.metadata[textKey] != nil || file.metadata[versionKey] != nil
  }

  /// The graph in `file`, its constants slices of the mapping.
  ///
  /// - Parameters:
  ///   - file: A file with the metadata of this convention.
  ///   - limits: For the graph.
  /// - Returns: The graph, validated.
  /// - Throws: A refusal when there is no graph, its version is another, or text and tensors do not agree.
  package static func read(
    _ file: SafetensorsFile,
    limits: Limits = .standard
  ) throws(Refusal) -> Graph {
    guard let text = file.metadata[textKey] else {
      throw refusal(
        .unsupported,
        "metadata \(Refusal.quoted(textKey))",
        "is missing: the file holds bare weights"
      )
    }
    let found = file.metadata[versionKey] ?? ""
    guard found == version else {
      throw refusal(
        .unsupported,
        "metadata \(Refusal.quoted(versionKey))",
        "is \(Refusal.quoted(found)), must be \(Refusal.quoted(version))"
      )
    }
    var unused: [String: Tensor] = [:]
    for (name, tensor) in file.entries { unused[name] = tensor }
    let graph: Graph
    do throws(Refusal) {
      graph = try GraphParser.parse(text, limits: limits) { (name, _) in unused.removeValue(forKey: name) }
    } catch {
      throw error.at("metadata \(Refusal.quoted(textKey))")
    }
    guard let left = file.entries.first(where: { unused[$0.name] != nil }) else {
      try GraphValidator.validate(graph, limits: limits)
      return graph
    }
    throw refusal(.invalid, "tensor \(Refusal.quoted(left.name))", "is no constant of the graph")
  }

  /// Writes `graph` as a whole file into `sink`, which is called with consecutive pieces.
  ///
  /// - Parameters:
  ///   - graph: Any valid graph.
  ///   - sink: Takes the bytes.
  /// - Throws: A refusal when a constant's name cannot be stored, or what `sink` throws.
  package static func write(
    _ graph: Graph,
    to sink: (RawSpan) throws(Refusal) -> Void
  ) throws(Refusal) {
    var tensors: [(name: String, tensor: Tensor)] = []
    for id in graph.valueIDs {
      guard let tensor = graph[id].constant else { continue }
      tensors.append((graph[id].name, tensor))
    }
    let metadata = [versionKey: version, textKey: GraphPrinter.text(graph, constants: .external)]
    try SafetensorsWriter.write(tensors, metadata: metadata, to: sink)
  }

  private static func refusal(_ kind: Refusal.Kind, _ place: String, _ problem: String) -> Refusal {
    Refusal(
      kind,
      at: place,
      rule: "S17",
      problem,
      remedy: "convert the model again with this version of qconvert"
    )
  }
}
