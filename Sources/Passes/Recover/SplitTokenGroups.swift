import BinaryIO
import GraphIR
import Quantization

extension Pass {
  /// Gives leading tokens, such as registers, fixed ranges of their own.
  ///
  /// Before:                         After:
  ///     %1 = gemm(%x, %w, %b)           %first = slice(%x) {0..<1}
  ///                                     %loud = slice(%x) {1..<5}
  ///                                     %others = slice(%x) {5...}
  ///                                     %1.first = gemm(%first, %w, %b)
  ///                                     %1.loud = gemm(%loud, %w, %b)
  ///                                     %1.others = gemm(%others, %w, %b)
  ///                                     %1 = concat(%1.first, %1.loud, %1.others)
  ///
  /// A value with tokens along its second axis is cut around those of the first sixteen tokens whose largest magnitude on
  /// calibration data is above four times what all later tokens reach; those before them, such as a class token, are a group of
  /// their own. All matrix products that read the value share the cuts, and their weights are stored once. What a cut costs is
  /// a small product more.
  ///
  /// Not applied: to values without samples or of another rank; where the activations are quantized while the network runs; where
  /// the error of the products on calibration data does not halve.
  public static let splitTokenGroups = Pass(
    name: "split-token-groups",
    summary: "Give leading tokens of transformers fixed ranges of their own, for --token-groups."
  ) { (graph, context) throws(Refusal) in
    guard context.options.splitsTokens, context.options.activations == .static else { return false }
    var changed = false
    var seen: Set<ValueID> = []
    for id in graph.order {
      guard let linear = LinearNode(graph, id), seen.insert(linear.data).inserted else { continue }
      if try split(linear.data, &graph, &context) { changed = true }
    }
    return changed
  }
}

/// Leading tokens that are looked at.
private let prefixLimit = 16
/// An end that no axis reaches.
private let farEnd = Int(Int32.max)

private func split(
  _ value: ValueID,
  _ graph: inout Graph,
  _ context: inout PassContext
) throws(Refusal) -> Bool {
  guard let sample = context.activations[value], graph[value].type.rank == 3,
    let loud = sample.loudTokens(limit: prefixLimit)
  else { return false }
  if let tokens = graph[value].type.dims[1].value, tokens <= loud.upperBound { return false }
  let users = graph.users(of: value).compactMap { id in
    context.kept[id] == nil ? LinearNode(graph, id) : nil
  }.filter { $0.data == value && $0.isPlainRows }
  let trials = users.compactMap { QuantizationTrial($0, graph, sample, context) }
  guard !trials.isEmpty, trials.count == users.count else { return false }
  let groups = [0..<loud.lowerBound, loud, loud.upperBound..<farEnd].filter { !$0.isEmpty }
  let ones = [Float](repeating: 1, count: sample.width)
  let signal = trials.reduce(0) { $0 + $1.signal }
  let before = trials.reduce(0) { $0 + $1.error(dividedBy: ones) }
  let after = trials.reduce(0) { $0 + $1.error(splittingInto: groups) }
  let place = "value \(Refusal.quoted(graph[value].name))"
  let tokens = "tokens \(loud.lowerBound) to \(loud.upperBound - 1)"
  guard after < 0.5 * before else {
    context.remark(.missed, at: place, "a range of their own for \(tokens) would gain less than 3 dB")
    return false
  }
  try cut(value, groups, users, &graph)
  let change = "the error of what reads it is \(decibels(after, signal)), it was \(decibels(before, signal))"
  context.remark(.applied, at: place, "\(tokens) have a range of their own: \(change)")
  return true
}

/// Cuts a value into groups of tokens, and each of its users into one product for each; the user itself becomes that of the last.
private func cut(
  _ value: ValueID,
  _ groups: [Range<Int>],
  _ users: [LinearNode],
  _ graph: inout Graph
) throws(Refusal) {
  let suffixes = ["first", "loud", "others"].suffix(groups.count)
  var parts: [(suffix: String, value: ValueID)] = []
  for (group, suffix) in zip(groups, suffixes) {
    let node = try graph.addNode(
      .slice(Slice(starts: [group.lowerBound], ends: [group.upperBound], axes: [1])),
      inputs: [value],
      outputNames: [graph.uniqueName("\(graph[value].name).\(suffix)")]
    )
    parts.append((suffix, graph.result(of: node)))
  }
  for user in users {
    let result = graph.result(of: user.id)
    let (name, type) = (graph[result].name, graph[result].type)
    let operands = graph[user.id].inputs.dropFirst()
    var products: [ValueID] = []
    for part in parts.dropLast() {
      let node = try graph.addNode(
        graph[user.id].op,
        inputs: [part.value] + operands,
        outputNames: [graph.uniqueName("\(name).\(part.suffix)")]
      )
      products.append(graph.result(of: node))
    }
    let others = parts[parts.count - 1].value
    let joined = graph.addNode(
      .concat(Concat(axis: 1)),
      inputs: [],
      outputNames: [graph.uniqueName("\(name).joined")],
      outputTypes: [type]
    )
    graph.setInputs([others] + operands, of: user.id)
    let dims = [type.dims[0], graph[others].type.dims[1], type.dims[2]]
    graph.setType(TensorType(type.dtype, dims), of: result)
    graph.substitute(result, by: graph.result(of: joined))
    graph.setInputs(products + [result], of: joined)
    graph.rename(result, to: "\(name).others")
  }
}
