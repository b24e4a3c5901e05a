package import BinaryIO
package import GraphIR

/// Runs pipelines, and trusts no pass: the graph is checked before the first and after each one.
package struct PassManager {
  /// Which passes are followed by the graph's text.
  package enum Printing: Hashable, Sendable {
    case never
    case always
    case after(Set<String>)
  }

  /// What a run leaves out and shows.
  package struct Options: Sendable {
    /// Names of passes that are skipped.
    package var disabled: Set<String> = []
    package var printing = Printing.never
    /// Rounds after which a group that still changes the graph is refused.
    package var maximumRounds = 32

    package init() {}
  }

  /// What one pass did during a run.
  package struct Record: Hashable, Sendable {
    package let pass: String
    /// How often it ran.
    package internal(set) var runs: Int
    /// In how many of them it changed the graph.
    package internal(set) var changes: Int
    package internal(set) var duration: Duration
  }

  package let options: Options
  /// Takes the text of the graph after a pass: its name, then the text.
  package let print: (String, String) -> Void

  /// A manager.
  ///
  /// - Parameters:
  ///   - options: What is left out and shown.
  ///   - print: Takes the name of a pass and the graph's text after it.
  /// - Throws: A refusal when an option names a pass that does not exist.
  package init(
    options: Options = Options(),
    print: @escaping (String, String) -> Void = { _, _ in }
  ) throws(Refusal) {
    self.options = options
    self.print = print
    var named = options.disabled
    if case .after(let passes) = options.printing { named.formUnion(passes) }
    if let unknown = named.subtracting(PassList.all.map(\.name)).min() {
      throw Refusal(
        .usage,
        at: "pass \(Refusal.quoted(unknown))",
        rule: "P1",
        "does not exist",
        remedy: "see --list-passes"
      )
    }
  }

  /// Rewrites the graph by all passes of a pipeline that are not disabled.
  ///
  /// Passes that changed it are added to the graph's metadata.
  ///
  /// - Returns: What each pass did, in the order of their first runs.
  /// - Throws: The refusal of a pass or of the check after it, with the name of the pass.
  @discardableResult
  package func run(
    _ pipeline: Pipeline,
    on graph: inout Graph,
    _ context: inout PassContext
  ) throws(Refusal) -> [Record] {
    try checkRequirements(of: pipeline, ranBefore: graph)
    try check(&graph, after: nil)
    var records: [Record] = []
    for stage in pipeline.stages {
      switch stage {
      case .once(let pass): _ = try step(pass, &graph, &context, &records)
      case .fixpoint(let passes): try repeatUntilStable(passes, &graph, &context, &records)
      }
    }
    note(records, in: &graph)
    return records
  }

  private func repeatUntilStable(
    _ passes: [Pass],
    _ graph: inout Graph,
    _ context: inout PassContext,
    _ records: inout [Record]
  ) throws(Refusal) {
    for _ in 0..<options.maximumRounds {
      var changed: [String] = []
      for pass in passes where try step(pass, &graph, &context, &records) { changed.append(pass.name) }
      if changed.isEmpty { return }
    }
    throw Refusal(
      .limit,
      at: "passes \(passes.map(\.name).joined(separator: ", "))",
      rule: "P2",
      "still change the graph after \(options.maximumRounds) rounds",
      remedy: "disable one of them with --disable-pass, and report the model"
    )
  }

  private func step(
    _ pass: Pass,
    _ graph: inout Graph,
    _ context: inout PassContext,
    _ records: inout [Record]
  ) throws(Refusal) -> Bool {
    guard !options.disabled.contains(pass.name) else { return false }
    let clock = ContinuousClock()
    let start = clock.now
    let changed = try pass.apply(to: &graph, &context)
    if changed { try check(&graph, after: pass) }
    let duration = clock.now - start
    let index = records.firstIndex { $0.pass == pass.name } ?? records.endIndex
    if index == records.endIndex {
      records.append(Record(pass: pass.name, runs: 0, changes: 0, duration: .zero))
    }
    records[index].runs += 1
    records[index].changes += changed ? 1 : 0
    records[index].duration += duration
    if shows(pass) { print(pass.name, GraphPrinter.text(graph, constants: .small(8))) }
    return changed
  }

  /// Infers all types anew and validates the graph.
  private func check(_ graph: inout Graph, after pass: Pass?) throws(Refusal) {
    do {
      try TypeInference.infer(&graph)
      try GraphValidator.validate(graph)
    } catch {
      throw error.at(pass.map { "after pass \($0.name)" } ?? "before the first pass")
    }
  }

  private func checkRequirements(of pipeline: Pipeline, ranBefore graph: Graph) throws(Refusal) {
    for pass in pipeline.passes where !options.disabled.contains(pass.name) {
      guard let missing = pass.requires.first(where: options.disabled.contains) else { continue }
      throw Refusal(
        .usage,
        at: "pass \(pass.name)",
        rule: "P3",
        "needs the disabled pass \(missing)",
        remedy: "disable \(pass.name) as well, or neither"
      )
    }
  }

  private func shows(_ pass: Pass) -> Bool {
    switch options.printing {
    case .never: false
    case .always: true
    case .after(let names): names.contains(pass.name)
    }
  }

  private func note(_ records: [Record], in graph: inout Graph) {
    var names = graph.metadata[MetadataKey.passes]?.split(separator: ",").map(String.init) ?? []
    for record in records where record.changes > 0 && !names.contains(record.pass) {
      names.append(record.pass)
    }
    if !names.isEmpty { graph.metadata[MetadataKey.passes] = names.joined(separator: ",") }
  }
}
