public import BinaryIO
public import Datasets
public import GraphIR
internal import Runtime

/// Compares two forms of one model on samples: outputs, predictions, and, on request, the values inside.
public enum Verifier {
  /// Runs both models on every sample.
  ///
  /// - Parameters:
  ///   - reference: The model that is right by definition.
  ///   - candidate: The converted model.
  ///   - dataset: Samples for the reference's inputs, read one batch at a time.
  ///   - options: What is compared, and what counts as passed.
  ///   - progress: Called after every batch with the number of samples done and of all.
  /// - Returns: The comparison; a threshold that is missed is told there, not thrown.
  /// - Throws: A refusal when the models do not correspond, a sample cannot be read, or a threshold needs labels
  ///   that are missing.
  public static func verify(
    reference: Graph,
    candidate: Graph,
    dataset: Dataset,
    options: VerifyOptions = VerifyOptions(),
    progress: ((_ done: Int, _ count: Int) -> Void)? = nil
  ) throws(Refusal) -> VerifyReport {
    try check(dataset, options)
    let executor: SessionOptions.ExecutorKind = options.usesReferenceExecutor ? .reference : .plan
    let pair = try ModelPair(
      reference,
      candidate,
      batch: options.batch,
      SessionOptions(threads: options.threads, executor: executor)
    )
    let layerData = dataset.spread(options.perLayer ? options.layerSamples : 0)
    let count = dataset.count + layerData.count
    var comparison = OutputComparison()
    for start in stride(from: 0, to: dataset.count, by: pair.batch) {
      let range = start..<min(dataset.count, start + pair.batch)
      let (inputs, labels) = try pair.inputs(range, of: dataset)
      let outputs = try pair.run(inputs)
      try comparison.add(reference: outputs.reference, candidate: outputs.candidate, labels: labels)
      progress?(range.upperBound, count)
    }
    var report = VerifyReport(comparison, dataset, hasLabels: dataset.hasLabels)
    if options.perLayer {
      let done = dataset.count
      report.layers = try layers(pair, layerData) { progress?(done + $0, count) }
      report.layerSamples = layerData.count
      report.layerBound = options.layerBound
      report.firstLayerBelow = report.layers?.first { $0.sqnrDB < options.layerBound }?.name
    }
    report.judge(comparison, options)
    return report
  }

  private static func check(_ dataset: Dataset, _ options: VerifyOptions) throws(Refusal) {
    guard dataset.count > 0 else {
      throw Refusal(.usage, at: "data", rule: "V3", "has no samples", remedy: "give at least one sample")
    }
    guard options.maximumTop1Drop == nil || dataset.hasLabels else {
      throw Refusal(
        .usage,
        at: "data",
        rule: "V3",
        "has no labels, and the largest drop of accuracy was given as a threshold",
        remedy: "give labelled data, or a threshold on the agreement or the signal-to-noise ratio"
      )
    }
  }

  private static func layers(
    _ pair: ModelPair,
    _ data: Dataset,
    _ progress: (Int) -> Void
  ) throws(Refusal) -> [VerifyReport.Layer] {
    var comparison: LayerComparison?
    let size = pair.hasFixedBatch ? pair.batch : 1
    for start in stride(from: 0, to: data.count, by: size) {
      let range = start..<min(data.count, start + size)
      let inputs = try pair.inputs(range, of: data).inputs
      if comparison == nil { comparison = try LayerComparison(pair, inputs: inputs) }
      try comparison?.add(inputs, pair)
      progress(range.upperBound)
    }
    return comparison?.layers ?? []
  }
}
