public import BinaryIO

/// Refuses graphs that break a rule, whatever file or pass they came from.
///
/// Runs after every load and after every pass, so that whoever gets a graph may rely on it. Rules are checked in the
/// order structure, limits, constants, quantization, types; the first one that is broken is reported.
public enum GraphValidator {
  /// Checks everything.
  ///
  /// - Parameters:
  ///   - graph: The graph as a whole.
  ///   - limits: Bounds on names, counts and shapes (L1-L7).
  /// - Throws: The refusal of the first broken rule, naming the node or value.
  public static func validate(_ graph: Graph, limits: Limits = .standard) throws(Refusal) {
    try checkStructure(graph)
    try checkLimits(graph, limits)
    for id in graph.valueIDs { try checkType(graph[id], limits) }
    try checkConstants(graph)
    try checkQuantization(graph)
    try checkNormalization(graph)
    var inferred = graph
    try TypeInference.infer(&inferred)
    for id in inferred.valueIDs { try checkType(inferred[id], limits) }
  }

  static func place(_ value: Value) -> String { "value \(Refusal.quoted(value.name))" }

  static func malformed(_ place: String, _ rule: String, _ problem: String) -> Refusal {
    Refusal(
      .invalid,
      at: place,
      rule: rule,
      problem,
      remedy: "export the model again; if qconvert wrote it, report the command that did"
    )
  }
}
