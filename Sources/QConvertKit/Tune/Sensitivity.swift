internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Passes
internal import Runtime

/// Measures what quantizing each layer costs.
///
/// One layer at a time is quantized, its input and its weight, and everything else stays float; the outputs are compared with those of
/// the float network. The errors of single layers are small and nearly add up, so each is measured without those of all others,
/// and a few samples suffice. (Leaving one layer out of a quantized network measures the difference of two large errors.)
/// The input and the weight are measured by themselves, too, which tells how far a layer has to leave int8 (``FloatLadder``).
/// Weights are rounded to nearest, whatever the conversion does later. Samples are run one by one, so the result does not depend on
/// the number of threads.
struct Sensitivity {
  /// Samples, at most.
  static let sampleLimit = 32

  let rewriting: Rewriting
  let samples: Dataset

  /// The report, and the layers in its order.
  ///
  /// - Throws: A refusal; one of the kind `interrupted` when the options' question is answered so.
  func measure() throws(Refusal) -> (report: SensitivityReport, ranking: [QuantizableLayer]) {
    let options = rewriting.options
    guard samples.count > 0 else {
      throw Refusal(
        .usage,
        at: "--sensitivity",
        rule: "C6",
        "has no sample to measure on",
        remedy: "give --calibrate DATA or --judge DATA with at least two samples"
      )
    }
    var inputs: [[String: Tensor]] = []
    for index in 0..<samples.count { inputs.append(try samples.sample(index).inputs) }
    let expected = try outputs(of: rewriting.graph, inputs)
    let layers = rewriting.layers
    var rows: [(layer: QuantizableLayer, row: SensitivityReport.Layer)] = []
    for (index, layer) in layers.enumerated() {
      var kept: [NodeID: FloatFormat] = [:]
      for other in layers where other.name != layer.name {
        for node in other.nodes { kept[node] = .float32 }
      }
      func compared(_ graph: Graph) throws(Refusal) -> OutputComparison {
        try comparison(of: graph, inputs, expected)
      }
      let whole = try compared(try rewriting.quantized(keeping: kept, isMended: false).graph)
      let activations =
        layer.isRecurrent ? nil : try compared(try rewriting.withQuantizedActivations(keeping: kept))
      for node in layer.nodes { kept[node] = .int8 }
      let weights = try compared(try rewriting.quantized(keeping: kept, isMended: false).graph)
      rows.append((layer, .init(layer, whole: whole, activations: activations, weights: weights)))
      rewriting.progress(.measured(index + 1, of: layers.count))
    }
    let order = rows.indices.sorted { (rows[$0].row.sqnrDB, $0) < (rows[$1].row.sqnrDB, $1) }
    var report = SensitivityReport(scheme: options.schemeText(rewriting.preset))
    report.samples = samples.count
    report.data = samples.summary
    report.layers = order.enumerated().map { rank, index in
      var row = rows[index].row
      row.rank = rank + 1
      return row
    }
    return (report, order.map { rows[$0].layer })
  }

  private func comparison(
    of graph: Graph,
    _ inputs: [[String: Tensor]],
    _ expected: [[Tensor]]
  ) throws(Refusal) -> OutputComparison {
    var result = OutputComparison()
    for (expected, found) in zip(expected, try outputs(of: graph, inputs)) {
      try result.add(reference: expected, candidate: found, labels: [nil])
    }
    return result
  }

  private func outputs(of graph: Graph, _ inputs: [[String: Tensor]]) throws(Refusal) -> [[Tensor]] {
    let options = rewriting.options
    let session = try Session(graph, options: QConvert.sessionOptions(threads: options.threads))
    var result: [[Tensor]] = []
    for sample in inputs {
      try Interruption.check(options.isInterrupted)
      let outputs = try session.run(sample)
      result.append(graph.outputs.compactMap { outputs[graph[$0].name] })
    }
    return result
  }
}
