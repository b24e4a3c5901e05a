import GraphIR

extension Pass {
  /// Finds the mean or maximum over all spatial axes written as a reduction.
  ///
  /// Before:                                            After:
  ///     %1 = reduce_mean(%x) {axes = [2, 3],               %2 = global_average_pool(%x)
  ///          keep_dims = 0}                                %1 = squeeze(%2) {axes = [2, 3]}
  ///
  /// Not applied: to other axes, which mix channels or samples; to computed axes.
  public static let recognizeGlobalPool = Pass(
    name: "recognize-global-pool",
    summary: "Find global pools written as a reduction over all spatial axes."
  ) { (graph, _) in
    var changed = false
    for id in graph.order {
      guard case .reduce(let reduce) = graph[id].op, let kind = pool(reduce.kind),
        graph[id].inputs.count == 1, let source = graph[id].inputs[0]
      else { continue }
      let rank = graph[source].type.rank
      let spatial = Array(2..<max(2, rank))
      guard rank > 2, rank <= 5, let axes = reduce.axes,
        axes.map({ $0 < 0 ? $0 + rank : $0 }).sorted() == spatial
      else { continue }
      changed = true
      let op = Op.globalPool(GlobalPool(kind))
      guard !reduce.keepDims else {
        graph.setOp(op, of: id)
        continue
      }
      let result = graph.result(of: id)
      var type = graph[source].type
      type.dims = type.dims.prefix(2) + spatial.map { _ in 1 }
      let pooled = graph.addNode(
        op,
        inputs: [source],
        outputNames: ["\(graph[result].name).pooled"],
        outputTypes: [type]
      )
      graph.setOp(.squeeze(Squeeze(axes: spatial)), of: id)
      graph.setInputs([graph.result(of: pooled)], of: id)
    }
    return changed
  }
}

private func pool(_ kind: Reduce.Kind) -> GlobalPool.Kind? {
  switch kind {
  case .mean: .average
  case .max: .max
  case .sum, .min, .prod, .sumSquare, .l2: nil
  }
}
