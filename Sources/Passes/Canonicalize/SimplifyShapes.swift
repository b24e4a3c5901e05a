import BinaryIO
import GraphIR

extension Pass {
  /// Replaces computed shapes by constants and attributes, as far as shape arithmetic knows them.
  ///
  /// Before:                                              After:
  ///     %1 = shape(%x)                                       %5 = reshape(%x) {shape = [0, 1280]}
  ///     %2 = gather(%1, %zero)
  ///     %3 = unsqueeze(%2) {axes = [0]}
  ///     %4 = concat(%3, %width) {axis = 0}
  ///     %5 = reshape(%x, %4)
  ///
  /// An extent that equals the operand's at the same axis is written as 0, one other unknown extent as -1.
  ///
  /// Not applied: with two or more unknown extents that are not the operand's; those stay computed.
  public static let simplifyShapes = Pass(
    name: "simplify-shapes",
    summary: "Turn computed shapes into constants and attributes."
  ) { (graph, _) throws(Refusal) in
    let values = TypeInference.shapeValues(graph)
    var changed = false
    for id in graph.order {
      if simplify(id, &graph, values) { changed = true }
      if try replaceByConstant(id, &graph, values) { changed = true }
    }
    return changed
  }
}

/// Moves known operands of shape operators into attributes.
private func simplify(_ id: NodeID, _ graph: inout Graph, _ values: [ValueID: [Dim]]) -> Bool {
  let node = graph[id]
  func known(_ index: Int) -> [Int]? {
    guard node.inputs.indices.contains(index), let operand = node.inputs[index], let dims = values[operand]
    else { return nil }
    let extents = dims.compactMap(\.value)
    return extents.count == dims.count ? extents : nil
  }
  func isAbsent(_ index: Int) -> Bool { !node.inputs.indices.contains(index) || node.inputs[index] == nil }

  guard node.inputs.count > 1, let x = node.inputs[0] else { return false }
  let op: Op
  switch node.op {
  case .reshape(let reshape):
    guard let operand = node.inputs[1], let dims = values[operand],
      let shape = attribute(dims, of: graph[x].type, allowZero: reshape.allowZero)
    else { return false }
    op = .reshape(shape)
  case .expand:
    guard let shape = known(1) else { return false }
    op = .expand(Expand(shape: shape))
  case .reduce(let reduce):
    guard let axes = known(1) else { return false }
    op = .reduce(Reduce(reduce.kind, axes: axes, keepDims: reduce.keepDims))
  case .slice(let slice):
    guard let starts = slice.starts ?? known(1), let ends = slice.ends ?? known(2) else { return false }
    let (axes, steps) = (slice.axes ?? known(3), slice.steps ?? known(4))
    guard axes != nil || isAbsent(3), steps != nil || isAbsent(4) else { return false }
    op = .slice(Slice(starts: starts, ends: ends, axes: axes, steps: steps))
  default: return false
  }
  graph.setOp(op, of: id)
  graph.setInputs([x], of: id)
  return true
}

/// A reshape by attribute to these extents; nil when two of them are unknown and not copied.
private func attribute(_ dims: [Dim], of source: TensorType, allowZero: Bool) -> Reshape? {
  if allowZero, dims.contains(0) {
    let extents = dims.compactMap(\.value)
    return extents.count == dims.count ? Reshape(shape: extents, allowZero: true) : nil
  }
  var shape: [Int] = []
  for (axis, dim) in dims.enumerated() {
    switch dim {
    case .known(let extent): shape.append(extent)
    case .symbol where axis < source.rank && source.dims[axis] == dim: shape.append(0)
    case .symbol, .unknown: shape.append(-1)
    }
  }
  return shape.count { $0 == -1 } <= 1 ? Reshape(shape: shape) : nil
}

/// Replaces a node whose single result is an integer vector or scalar with known elements.
private func replaceByConstant(
  _ id: NodeID,
  _ graph: inout Graph,
  _ values: [ValueID: [Dim]]
) throws(Refusal) -> Bool {
  let node = graph[id]
  guard node.outputs.count == 1, !node.inputs.isEmpty, !graph.isOutput(node.outputs[0]) else { return false }
  let output = node.outputs[0]
  guard graph[output].type.dtype == .int64, let shape = graph[output].type.knownDims,
    let dims = values[output]
  else { return false }
  let elements = dims.compactMap(\.value)
  guard elements.count == dims.count, Checked.product(shape) == elements.count else { return false }
  let name = graph[output].name
  let constant = graph.addConstant(graph.uniqueName("\(name).constant"), try Tensor.int64s(elements, shape))
  graph.replaceUses(of: output, with: constant)
  graph.detach(id)
  graph.rename(output, to: "\(name).replaced")
  graph.rename(constant, to: name)
  return true
}
