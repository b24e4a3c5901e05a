import BinaryIO
import GraphIR
import Quantization

extension Pass {
  /// Stores f32 constants as f16 and widens them where they are used.
  ///
  /// Before:                               After:
  ///     %w = constant f32[64, 3, 7, 7]        %w = constant f16[64, 3, 7, 7]
  ///     %1 = conv(%x, %w)                     %w.f32 = cast(%w) {to = "f32"}
  ///                                           %1 = conv(%x, %w.f32)
  ///
  /// All operands of linear operators are converted, and other constants of at least 1,024 elements.
  ///
  /// Beside i8 weights, only the weights of nodes that are kept as f16 are converted and, where ranges are per token, all that
  /// stayed f32 and the tables that `gather` picks rows from; never those of nodes that are kept as f32.
  ///
  /// Not applied (with a remark): to a constant with a value beyond 65,504, which would become infinite, or with NaN or
  /// infinity; to outputs of the graph. Values that become subnormal or 0 are counted in a remark.
  public static let convertToFp16 = Pass(
    name: "convert-to-fp16",
    summary: "Store f32 constants as f16."
  ) { (graph, context) throws(Refusal) in
    var changed = false
    for id in graph.valueIDs where isCandidate(id, graph) && isWanted(id, graph, context) {
      if try convert(id, &graph, &context) { changed = true }
    }
    return changed
  }
}

private func isCandidate(_ id: ValueID, _ graph: Graph) -> Bool {
  guard let tensor = graph[id].constant, tensor.dtype == .float32, !graph.isOutput(id),
    !graph.users(of: id).isEmpty
  else { return false }
  return tensor.count >= 1_024 || graph.users(of: id).allSatisfy { LinearNode(graph, $0) != nil }
}

/// Whether the scheme wants a constant as f16.
private func isWanted(_ id: ValueID, _ graph: Graph, _ context: PassContext) -> Bool {
  guard context.options.scheme == .int8 else { return !isRowScale(id, graph) }
  let formats = graph.users(of: id).map { context.kept[$0] }
  guard isTable(id, graph), !formats.contains(FloatFormat.float32) else { return false }
  return context.options.activationGranularity == .perRow
    || formats.allSatisfy { $0 == FloatFormat.float16 }
}

/// Whether a constant holds the scales of a table's rows.
private func isRowScale(_ id: ValueID, _ graph: Graph) -> Bool {
  graph.users(of: id).contains { user in
    guard case .gather = graph[user].op else { return false }
    let picked = graph.result(of: user)
    return graph.users(of: picked).contains { other in
      guard case .dequantizeLinear = graph[other].op else { return false }
      return graph[other].inputs[1] == picked
    }
  }
}

/// Whether all users take a constant as a weight, or gather from it.
private func isTable(_ id: ValueID, _ graph: Graph) -> Bool {
  graph.users(of: id).allSatisfy { user in
    if let linear = LinearNode(graph, user) { return linear.weight == id }
    if let recurrent = RecurrentNode(graph, user) { return recurrent.weight == id }
    if case .gather = graph[user].op { return graph[user].inputs[0] == id }
    return false
  }
}

private func convert(
  _ id: ValueID,
  _ graph: inout Graph,
  _ context: inout PassContext
) throws(Refusal) -> Bool {
  guard let tensor = graph[id].constant else { return false }
  let (name, type) = (graph[id].name, graph[id].type)
  let place = "constant \(Refusal.quoted(name))"
  guard let result = try HalfConverter.convert(tensor, in: context.allocator) else {
    context.remark(.warning, at: place, "stays f32: it holds a value beyond 65504, NaN or infinity")
    return false
  }
  tensor.releasePages()
  result.values.releasePages()
  if result.subnormal > 0 {
    context.remark(.applied, at: place, "\(result.subnormal) of \(tensor.count) values lost precision near 0")
  }
  graph.setConstant(result.values, of: id)
  let cast = graph.addNode(
    .cast(Cast(to: .float32)),
    inputs: [id],
    outputNames: ["\(name).f32"],
    outputTypes: [type]
  )
  graph.replaceUses(of: id, with: graph.result(of: cast), except: cast)
  return true
}
