import BinaryIO
import GraphIR
import Testing

@testable import Passes

/// What became of a graph, and what was said about it.
struct Outcome {
  var graph: Graph
  var changed: Bool
  var remarks: [Remark]

  /// The graph's text, constants of up to 16 elements included.
  var text: String { GraphPrinter.text(graph, constants: .small(16)) }

  /// The text of nodes and outputs only.
  var body: String {
    text.split(separator: "\n").map { $0.drop { $0 == " " } }
      .filter { !$0.hasPrefix("const") && !$0.hasPrefix("input") && !$0.hasPrefix("graph") && $0 != "}" }
      .joined(separator: "\n")
  }

  /// Operators in order.
  var operators: [String] { graph.order.map { graph[$0].op.name } }

  func floats(_ name: String) -> [Float]? {
    graph.value(named: name).flatMap { graph[$0].constant?.floatValues() }
  }
}

/// A graph from text, with its types inferred and validated.
func parse(_ text: String) throws -> Graph {
  var graph = try GraphParser.parse(text)
  try TypeInference.infer(&graph)
  try GraphValidator.validate(graph)
  return graph
}

/// Runs one pass on a graph given as text; the result is valid, and a second run changes nothing.
func run(
  _ pass: Pass,
  _ text: String,
  context: PassContext = PassContext(),
  isIdempotent: Bool = true
) throws -> Outcome {
  try run(pass, try parse(text), context: context, isIdempotent: isIdempotent)
}

func run(
  _ pass: Pass,
  _ graph: Graph,
  context: PassContext = PassContext(),
  isIdempotent: Bool = true
) throws -> Outcome {
  var graph = graph
  var context = context
  let changed = try pass.apply(to: &graph, &context)
  try TypeInference.infer(&graph)
  try GraphValidator.validate(graph)
  let remarks = context.remarks
  if isIdempotent {
    var again = graph
    #expect(try !pass.apply(to: &again, &context), "a second run changes the graph")
  }
  return Outcome(graph: graph, changed: changed, remarks: remarks)
}
