package import BinaryIO
package import GraphIR
package import Testing

/// The graph a `.qir` text describes, with types inferred and everything validated.
package func graph(_ text: String) throws -> Graph {
  var graph = try GraphParser.parse(text)
  try TypeInference.infer(&graph)
  try GraphValidator.validate(graph)
  return graph
}

/// Expects the text form of a graph, all constants inline, to be `expected` up to white space at either end.
package func expectText(
  _ graph: Graph,
  equals expected: String,
  constants: ConstantStyle = .all,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let found = lines(GraphPrinter.text(graph, constants: constants))
  let wanted = lines(expected)
  guard found != wanted else { return }
  let place = zip(found, wanted).prefix { $0 == $1 }.count
  Issue.record(
    """
    the text differs from line \(place + 1) on:
    found    \(place < found.count ? found[place] : "(nothing)")
    expected \(place < wanted.count ? wanted[place] : "(nothing)")
    the whole text is
    \(found.joined(separator: "\n"))
    """,
    sourceLocation: sourceLocation
  )
}

private func lines(_ text: String) -> [Substring] {
  text.split(separator: "\n").map { line in
    var line = line.drop { $0 == " " }
    while line.last == " " { line.removeLast() }
    return line
  }.filter { !$0.isEmpty }
}

/// Expects `body` to refuse under `rule`, with `text` in the printed line.
///
/// - Returns: The refusal, for further expectations.
@discardableResult
package func expectRefusal(
  rule: String,
  containing text: String = "",
  sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Void
) -> Refusal? {
  do {
    try body()
    Issue.record("nothing was refused, expected rule \(rule)", sourceLocation: sourceLocation)
  } catch let refusal as Refusal {
    #expect(refusal.rule == rule, "\(refusal)", sourceLocation: sourceLocation)
    #expect(
      text.isEmpty || refusal.description.contains(text),
      "\(refusal)",
      sourceLocation: sourceLocation
    )
    #expect(!refusal.description.contains("\n"), sourceLocation: sourceLocation)
    return refusal
  } catch {
    Issue.record("threw \(error), expected a refusal of rule \(rule)", sourceLocation: sourceLocation)
  }
  return nil
}
