import BinaryIO
import GraphIR

extension OperatorTable {
  /// Sums of products in index notation, as matrix products.
  static let einsum = [OperatorEntry("Einsum", 1...65_536, since: 12, importEinsum)]

  private static func importEinsum(_ node: inout NodeImporter) throws(Refusal) {
    guard let text = try node.attributes.string("equation") else {
      throw NodeAttributes.refusal("equation", "is missing")
    }
    let operands = try node.inputs()
    let equation = try EinsumEquation(text, ranks: operands.map { node.type($0).rank })
    var terms: [EinsumTerm] = []
    for (operand, labels) in zip(operands, equation.inputs) {
      terms.append(try node.summed(EinsumTerm(operand, labels), over: equation.standsAlone))
    }
    let result = terms.count == 1 ? terms[0] : try node.product(terms[0], terms[1], equation.output)
    let perm = equation.output.compactMap { result.labels.firstIndex(of: $0) }
    if perm == Array(perm.indices) {
      node.alias(result.operand)
    } else {
      try node.finish(.transpose(Transpose(perm: perm)), [result.operand])
    }
  }
}

/// The labels of the axes of operands and result, such as `bhqd,bhkd->bhqk`.
struct EinsumEquation {
  let inputs: [[Character]]
  let output: [Character]

  /// - Parameter ranks: Axes of each operand.
  /// - Throws: A refusal of an equation that does not fit the operands, or that is no product of at most two of them.
  init(_ text: String, ranks: [Int]) throws(Refusal) {
    let plain = text.filter { $0 != " " }
    let halves = plain.split(separator: "->", maxSplits: 1, omittingEmptySubsequences: false)
    inputs = halves[0].split(separator: ",", omittingEmptySubsequences: false).map(Array.init)
    let all = inputs.flatMap { $0 }
    // Without an arrow the labels that stand once, in alphabetical order.
    output =
      halves.count > 1
      ? Array(halves[1]) : Set(all).filter { label in all.count { $0 == label } == 1 }.sorted()
    let isPlain = (all + output).allSatisfy { $0.isASCII && $0.isLetter }
    let isDistinct = (inputs + [output]).allSatisfy { Set($0).count == $0.count }
    guard isPlain, isDistinct, inputs.count <= 2 else {
      throw NodeAttributes.unsupported(
        "equation",
        "is \(Refusal.quoted(text)); at most two operands of different letters are supported"
      )
    }
    guard inputs.map(\.count) == ranks, output.allSatisfy(all.contains) else {
      throw NodeAttributes.refusal("equation", "is \(Refusal.quoted(text)), the operands have \(ranks) axes")
    }
  }

  /// Whether neither the result nor another operand has the label.
  func standsAlone(_ label: Character) -> Bool {
    !output.contains(label) && inputs.count { $0.contains(label) } == 1
  }
}

/// An operand with the labels of its axes.
struct EinsumTerm {
  let operand: Operand
  let labels: [Character]

  init(_ operand: Operand, _ labels: [Character]) {
    self.operand = operand
    self.labels = labels
  }
}

extension NodeImporter {
  /// The term without the axes that it is summed over.
  fileprivate func summed(_ term: EinsumTerm, over isSummed: (Character) -> Bool) throws(Refusal)
    -> EinsumTerm
  {
    let axes = term.labels.indices.filter { isSummed(term.labels[$0]) }
    guard !axes.isEmpty else { return term }
    let sum = try emit(.reduce(Reduce(.sum, axes: axes, keepDims: false)), [term.operand], "sum")
    return EinsumTerm(sum, term.labels.filter { !isSummed($0) })
  }

  /// The product `[batch..., rows..., columns...]` of two terms, summed over the labels that the result lacks.
  fileprivate func product(_ a: EinsumTerm, _ b: EinsumTerm, _ output: [Character]) throws(Refusal)
    -> EinsumTerm
  {
    let batch = output.filter { a.labels.contains($0) && b.labels.contains($0) }
    let rows = output.filter { a.labels.contains($0) && !b.labels.contains($0) }
    let columns = output.filter { !a.labels.contains($0) && b.labels.contains($0) }
    let summed = a.labels.filter { !output.contains($0) }
    let left = try matrices(a, batch, rows, summed, "a")
    let right = try matrices(b, batch, summed, columns, "b")
    let product = try emit(.matMul(MatMul()), [left, right], "product")
    let labels = batch + rows + columns
    guard rows.count != 1 || columns.count != 1 else { return EinsumTerm(product, labels) }
    let extents =
      try rows.map { (label) throws(Refusal) in extent(of: label, a) }
      + columns.map { (label) throws(Refusal) in extent(of: label, b) }
    return EinsumTerm(try reshaped(product, batch.count, extents, "unmerged"), labels)
  }

  /// A term as `[batch..., rows, columns]`, axes of one kind merged.
  private func matrices(
    _ term: EinsumTerm,
    _ batch: [Character],
    _ rows: [Character],
    _ columns: [Character],
    _ suffix: String
  ) throws(Refusal) -> Operand {
    let perm = (batch + rows + columns).compactMap { term.labels.firstIndex(of: $0) }
    var result = term.operand
    if perm != Array(perm.indices) { result = try emit(.transpose(Transpose(perm: perm)), [result], suffix) }
    guard rows.count != 1 || columns.count != 1 else { return result }
    let merged = [rows, columns].map { labels in
      labels.reduce(1 as Int?) { (product: Int?, label) in
        guard let product, let extent = extent(of: label, term) else { return nil }
        return Checked.product(product, extent)
      }
    }
    return try reshaped(result, batch.count, merged, "\(suffix)_merged")
  }

  /// The extent of a label's axis, if it is known.
  private func extent(of label: Character, _ term: EinsumTerm) -> Int? {
    term.labels.firstIndex(of: label).flatMap { type(term.operand).dims[$0].value }
  }

  /// Keeps the first axes and gives the others these extents, of which one may be unknown.
  private func reshaped(_ x: Operand, _ kept: Int, _ extents: [Int?], _ suffix: String) throws(Refusal)
    -> Operand
  {
    guard extents.count(where: { $0 == nil }) <= 1 else {
      throw unsupported("merges axes of unknown extent", remedy: "export the model with fixed extents")
    }
    let shape = Array(repeating: 0, count: kept) + extents.map { $0 ?? -1 }
    return try emit(.reshape(Reshape(shape: shape)), [x], suffix)
  }
}
