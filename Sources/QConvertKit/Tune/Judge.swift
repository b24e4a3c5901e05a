internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Runtime

/// Compares quantized forms of a network with the network as it was read, on samples that calibration did not see.
struct Judge {
  /// Bytes of the original's outputs that are kept between comparisons; the rest is computed again.
  private static let cacheLimit = 1 << 28

  let samples: Dataset
  private let original: Session
  private let options: ConvertOptions
  private var cache: [Int: [Tensor]] = [:]
  private var cachedBytes = 0

  /// - Throws: A refusal (C6) when there is nothing to judge by.
  init(_ original: Graph, _ samples: Dataset, _ options: ConvertOptions) throws(Refusal) {
    guard samples.count > 0 else {
      throw Refusal(
        .usage,
        at: "--max-drop",
        rule: "C6",
        "calibration leaves no sample to judge by",
        remedy: "calibrate on fewer samples (--samples N), or give other data by --judge DATA"
      )
    }
    self.samples = samples
    self.options = options
    self.original = try Session(original, options: QConvert.sessionOptions(threads: options.threads))
  }

  /// Runs a network on all samples, or on the first so many.
  mutating func compare(_ graph: Graph, limit: Int = .max) throws(Refusal) -> OutputComparison {
    let session = try Session(graph, options: QConvert.sessionOptions(threads: options.threads))
    var comparison = OutputComparison()
    for index in 0..<min(samples.count, limit) {
      try Interruption.check(options.isInterrupted)
      let sample = try samples.sample(index)
      let outputs = try session.run(sample.inputs)
      try comparison.add(
        reference: try expected(index, sample),
        candidate: graph.outputs.compactMap { outputs[graph[$0].name] },
        labels: [samples.hasLabels ? sample.label : nil]
      )
    }
    return comparison
  }

  private mutating func expected(_ index: Int, _ sample: Sample) throws(Refusal) -> [Tensor] {
    if let known = cache[index] { return known }
    let outputs = try original.run(sample.inputs)
    let ordered = original.graph.outputs.compactMap { outputs[original.graph[$0].name] }
    let bytes = ordered.map(\.bytes.count).reduce(0, +)
    if cachedBytes + bytes <= Judge.cacheLimit {
      cachedBytes += bytes
      cache[index] = ordered
    }
    return ordered
  }
}
