import BinaryIO
import GraphIR
import Quantization

extension Pass {
  /// Gives leading tokens, such as class tokens and registers, fixed ranges of their own.
  ///
  /// Before:                         After:
  ///     %1 = gemm(%x, %w, %b)           %first = slice(%x) {0..<5}
  ///                                     %others = slice(%x) {5...}
  ///                                     %1.first = gemm(%first, %w, %b)
  ///                                     %1.others = gemm(%others, %w, %b)
  ///                                     %1 = concat(%1.first, %1.others)
  ///
  /// A value with tokens along its second axis is cut behind the last of the first sixteen tokens whose largest magnitude
  /// on calibration data is above four times what the later tokens reach. All matrix products that read it share the cut, and their weights
  /// are stored once. What a split costs is a second, small product.
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

private func split(
  _ value: ValueID,
  _ graph: inout Graph,
  _ context: inout PassContext
) throws(Refusal) -> Bool {
  guard let sample = context.activations[value], graph[value].type.rank == 3,
    let prefix = sample.loudPrefix(limit: prefixLimit)
  else { return false }
  if let tokens = graph[value].type.dims[1].value, tokens <= prefix { return false }
  let users = graph.users(of: value).compactMap { id in
    context.kept[id] == nil ? LinearNode(graph, id) : nil
  }.filter { $0.data == value && $0.isPlainRows }
  let trials = users.compactMap { QuantizationTrial($0, graph, sample, context) }
  guard !trials.isEmpty, trials.count == users.count else { return false }
  let ones = [Float](repeating: 1, count: sample.width)
  let signal = trials.reduce(0) { $0 + $1.signal }
  let before = trials.reduce(0) { $0 + $1.error(dividedBy: ones) }
  let after = trials.reduce(0) { $0 + $1.error(splittingAt: prefix) }
  let place = "value \(Refusal.quoted(graph[value].name))"
  guard after < 0.5 * before else {
    context.remark(
      .missed,
      at: place,
      "\(prefix) leading tokens with a range of their own would gain less than 3 dB"
    )
    return false
  }
  try cut(value, prefix, users, &graph)
  context.remark(
    .applied,
    at: place,
    "the first \(prefix) tokens have a range of their own: the error of what reads it is "
      + "\(decibels(after, signal)), it was \(decibels(before, signal))"
  )
  return true
}

private func cut(
  _ value: ValueID,
  _ prefix: Int,
  _ users: [LinearNode],
  _ graph: inout Graph
) throws(Refusal) {
  let name = graph[value].name
  func part(_ range: Range<Int>, _ suffix: String) throws(Refusal) -> ValueID {
    let slice = Slice(starts: [range.lowerBound], ends: [range.upperBound], axes: [1])
    let node = try graph.addNode(
      .slice(slice),
      inputs: [value],
      outputNames: [graph.uniqueName("\(name).\(suffix)")]
    )
    return graph.result(of: node)
  }
  let first = try part(0..<prefix, "first")
  let others = try part(prefix..<Int(Int32.max), "others")
  for user in users {
    let result = graph.result(of: user.id)
    let (name, type) = (graph[result].name, graph[result].type)
    let operands = graph[user.id].inputs.dropFirst()
    let leading = try graph.addNode(
      graph[user.id].op,
      inputs: [first] + operands,
      outputNames: [graph.uniqueName("\(name).first")]
    )
    let joined = graph.addNode(
      .concat(Concat(axis: 1)),
      inputs: [],
      outputNames: [graph.uniqueName("\(name).joined")],
      outputTypes: [type]
    )
    graph.setInputs([others] + operands, of: user.id)
    graph.setType(
      TensorType(type.dtype, [type.dims[0], graph[others].type.dims[1], type.dims[2]]),
      of: result
    )
    graph.substitute(result, by: graph.result(of: joined))
    graph.setInputs([graph.result(of: leading), result], of: joined)
    graph.rename(result, to: "\(name).others")
  }
}
