import BinaryIO

/// An ONNX operator that is read.
struct OperatorEntry {
  let name: String
  /// Opsets that have it in the form that `run` knows.
  let operatorSets: ClosedRange<Int>
  let inputs: ClosedRange<Int>
  let outputs: ClosedRange<Int>
  /// Adds what the node becomes to the graph.
  let run: @Sendable (inout NodeImporter) throws(Refusal) -> Void

  init(
    _ name: String,
    _ inputs: ClosedRange<Int>,
    outputs: ClosedRange<Int> = 1...1,
    since: Int = 1,
    until: Int = .max,
    _ run: @escaping @Sendable (inout NodeImporter) throws(Refusal) -> Void
  ) {
    self.name = name
    self.inputs = inputs
    self.outputs = outputs
    operatorSets = since...until
    self.run = run
  }

  /// Checks the opset and the number of operands and results (O26).
  func check(_ node: Proto.Node, operatorSet: Int) throws(Refusal) {
    guard operatorSets.contains(operatorSet) else {
      let bound =
        operatorSet < operatorSets.lowerBound
        ? "from \(operatorSets.lowerBound) on"
        : "up to \(operatorSets.upperBound)"
      throw refusal("exists in opsets \(bound), the model uses opset \(operatorSet)")
    }
    guard inputs.contains(node.inputs.count) else {
      throw refusal("has \(node.inputs.count) inputs, must have \(inputs.lowerBound) to \(inputs.upperBound)")
    }
    guard outputs.contains(node.outputs.count) else {
      throw refusal(
        "has \(node.outputs.count) outputs, must have \(outputs.lowerBound) to \(outputs.upperBound)"
      )
    }
  }

  private func refusal(_ problem: String) -> Refusal {
    Refusal(.invalid, at: "", rule: "O26", problem, remedy: "correct the model in its exporter")
  }
}

/// All operators that are read, by name.
enum OperatorTable {
  private static let families: [[OperatorEntry]] = [
    convolution, pooling, linear, einsum, recurrent, normalization, unary, activation, binary, comparison,
    softmax,
    reduction,
    shape, view, indexing, constants, resizing, quantization, integer,
  ]

  private static let entries = Dictionary(
    families.flatMap { $0 }.map { ($0.name, $0) },
    uniquingKeysWith: { first, _ in first }
  )

  /// Names of all operators, sorted.
  static var names: [String] { entries.keys.sorted() }

  /// All operators, sorted by name.
  static var sorted: [OperatorEntry] { entries.values.sorted { $0.name < $1.name } }

  /// The entry for a node's operator; nil when it is not read.
  static func find(_ node: Proto.Node) -> OperatorEntry? {
    Importer.canonical(node.domain).isEmpty ? entries[node.opType] : nil
  }
}
