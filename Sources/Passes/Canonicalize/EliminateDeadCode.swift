import GraphIR

extension Pass {
  /// Removes nodes whose results nobody needs, and constants nobody uses.
  ///
  /// Before:                       After:
  ///     %1 = relu(%x)                 %1 = relu(%x)
  ///     %2 = sigmoid(%x)              output %1
  ///     output %1
  ///
  /// Inputs of the graph stay even when unused, since callers name them.
  public static let eliminateDeadCode = Pass(
    name: "eliminate-dead-code",
    summary: "Remove nodes and constants that no output needs."
  ) { (graph, _) in
    graph.removeUnused()
  }
}
