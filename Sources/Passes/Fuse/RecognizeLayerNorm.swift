import BinaryIO
import GraphIR

extension Pass {
  /// Finds a layer normalisation that an exporter wrote as several nodes.
  ///
  /// Before:                                              After:
  ///     %1 = reduce_mean(%x) {axes = [-1]}                   %7 = layer_norm(%x, %gamma, %beta)
  ///     %2 = sub(%x, %1)
  ///     %3 = pow(%2, %two)
  ///     %4 = reduce_mean(%3) {axes = [-1]}
  ///     %5 = sqrt(add(%4, %epsilon))
  ///     %6 = div(%2, %5)
  ///     %7 = add(mul(%6, %gamma), %beta)
  ///
  /// The square may be a product. Without constants of one value per column behind the quotient, the scale is 1.
  ///
  /// Not applied: other axes than the last; an intermediate value outside of the pattern has another user or is an output;
  /// the extent of the last axis is not known. Results differ by rounding only.
  public static let recognizeLayerNorm = Pass(
    name: "recognize-layer-norm",
    summary: "Find layer normalisation written as several nodes."
  ) { (graph, _) throws(Refusal) in
    var changed = false
    for id in graph.order {
      guard let pattern = Pattern(id, graph) else { continue }
      try pattern.apply(to: &graph)
      changed = true
    }
    return changed
  }
}

/// A quotient that is a normalisation, with what scales and shifts it.
private struct Pattern {
  let source: ValueID
  let columns: Int
  let epsilon: Float
  /// The node whose result is that of the normalisation.
  private(set) var last: NodeID
  private(set) var scale: ValueID?
  private(set) var bias: ValueID?

  init?(_ id: NodeID, _ graph: Graph) {
    guard case .binary(let op) = graph[id].op, op.kind == .div, let centred = graph[id].inputs[0],
      let root = graph[id].inputs[1], graph.hasSingleUse(root),
      let source = centredSource(centred, graph), let columns = graph[source].type.dims.last?.value,
      let (_, rootNode) = graph.producer(of: root), case .unary(let unary) = rootNode.op,
      unary.kind == .sqrt, let sum = rootNode.inputs[0], graph.hasSingleUse(sum),
      let (_, add) = graph.producer(of: sum), case .binary(let addition) = add.op, addition.kind == .add
    else { return nil }
    let (first, second) = (graph.scalar(add.inputs[0]), graph.scalar(add.inputs[1]))
    guard let epsilon = second ?? first, epsilon >= 0,
      let variance = second == nil ? add.inputs[1] : add.inputs[0], graph.hasSingleUse(variance),
      let square = meanSource(variance, graph), graph.hasSingleUse(square),
      isSquare(square, of: source, graph)
    else { return nil }
    self.source = source
    self.columns = columns
    self.epsilon = epsilon
    last = id
    if let (node, constant) = follow(.mul, graph) {
      (last, scale) = (node, constant)
      if let (node, constant) = follow(.add, graph) { (last, bias) = (node, constant) }
    }
  }

  /// The only user of the result so far, if it combines that with one constant per column.
  private func follow(_ kind: Binary.Kind, _ graph: Graph) -> (NodeID, ValueID)? {
    let value = graph.result(of: last)
    guard let (id, node) = graph.onlyUser(of: value), case .binary(let op) = node.op, op.kind == kind,
      let a = node.inputs[0], let b = node.inputs[1], let tensor = graph.constant(a == value ? b : a),
      tensor.dtype == .float32, tensor.shape == [columns]
    else { return nil }
    return (id, a == value ? b : a)
  }

  func apply(to graph: inout Graph) throws(Refusal) {
    var scale = self.scale
    if scale == nil {
      let ones = try Tensor.floats([Float](repeating: 1, count: columns))
      scale = graph.addConstant("\(graph[graph.result(of: last)].name).scale", ones)
    }
    graph.setOp(.layerNorm(LayerNorm(axis: -1, epsilon: epsilon)), of: last)
    graph.setInputs([source, scale] + (bias == nil ? [] : [bias]), of: last)
  }
}

/// `x`, where the value is `x` minus its mean over the last axis.
private func centredSource(_ value: ValueID, _ graph: Graph) -> ValueID? {
  guard let (_, node) = graph.producer(of: value), case .binary(let op) = node.op, op.kind == .sub,
    let x = node.inputs[0], let mean = node.inputs[1], !graph.isOutput(value), !graph.isOutput(mean),
    meanSource(mean, graph) == x
  else { return nil }
  return x
}

/// `x`, where the value is the mean of `x` over the last axis, kept with extent 1.
private func meanSource(_ value: ValueID, _ graph: Graph) -> ValueID? {
  guard let (_, node) = graph.producer(of: value), case .reduce(let op) = node.op, op.kind == .mean,
    op.keepDims,
    let x = node.inputs[0]
  else { return nil }
  let axes = op.axes ?? (node.inputs.count > 1 ? graph.constant(node.inputs[1])?.intValues() : nil)
  let rank = graph[x].type.rank
  guard axes == [-1] || axes == [rank - 1] else { return nil }
  return x
}

/// Whether the value is the square of `x` minus its mean.
private func isSquare(_ value: ValueID, of x: ValueID, _ graph: Graph) -> Bool {
  guard let (_, node) = graph.producer(of: value), case .binary(let op) = node.op,
    let first = node.inputs[0], let second = node.inputs[1], centredSource(first, graph) == x
  else { return false }
  switch op.kind {
  case .pow: return graph.scalar(second) == 2
  case .mul: return first == second || centredSource(second, graph) == x
  default: return false
  }
}
