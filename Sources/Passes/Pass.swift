package import BinaryIO
package import GraphIR

/// One rewriting of a graph, as a value.
///
/// Each pass has a file of its own, named like it. A pass rewires the graph; nodes it leaves without users are
/// removed afterwards, and the order is restored.
public struct Pass: Sendable {
  /// In kebab-case, the words of the file's name.
  public let name: String
  /// One line for `--list-passes`.
  public let summary: String
  /// Names of passes that must have run before it.
  package let requires: [String]
  private let run: @Sendable (inout Graph, inout PassContext) throws(Refusal) -> Bool

  /// A pass.
  ///
  /// - Parameters:
  ///   - name: In kebab-case.
  ///   - summary: One line.
  ///   - requires: Names of passes that must have run before it.
  ///   - run: Rewrites the graph and tells whether anything changed.
  package init(
    name: String,
    summary: String,
    requires: [String] = [],
    run: @escaping @Sendable (inout Graph, inout PassContext) throws(Refusal) -> Bool
  ) {
    self.name = name
    self.summary = summary
    self.requires = requires
    self.run = run
  }

  /// Runs the pass, restores the order, and removes what was left without users.
  ///
  /// - Returns: Whether the graph changed.
  /// - Throws: A refusal that names the pass.
  package func apply(to graph: inout Graph, _ context: inout PassContext) throws(Refusal) -> Bool {
    context.pass = name
    do {
      guard try run(&graph, &context) else { return false }
      try graph.sortTopologically()
      graph.removeUnused()
      return true
    } catch {
      throw error.at("pass \(name)")
    }
  }
}
