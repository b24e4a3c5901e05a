internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Passes
internal import Quantization
internal import Runtime

/// Observes the range of every value that becomes an 8-bit activation, one sample at a time.
struct Calibrator {
  /// What calibration is remembered by.
  struct Summary: Hashable, Sendable {
    var observer: String
    var samples: Int
    var data: String
    var digest: String

    /// For metadata and reports.
    var text: String { "\(observer), \(samples) samples (\(data)), digest \(digest)" }
  }

  let observer: ObserverKind
  let alpha: Double
  let threads: Int?

  /// Runs the float graph on every sample.
  ///
  /// - Returns: A range for each value the quantizing passes ask for, and the summary.
  /// - Throws: A refusal when there is no sample, one cannot be read, or a value has no finite range.
  func calibrate(
    _ graph: Graph,
    on dataset: Dataset,
    progress: (Int, Int) -> Void
  ) throws(Refusal) -> (ActivationRanges, Summary) {
    guard dataset.count > 0 else {
      throw Refusal(
        .invalid,
        at: "calibration data",
        rule: "K7",
        "holds no sample",
        remedy: "give a folder with images or arrays"
      )
    }
    let targets = QuantizationTargets.activationValues(graph)
    var observers = targets.map { _ in observer.makeObserver(alpha: alpha) }
    let position = Dictionary(zip(targets, targets.indices), uniquingKeysWith: { first, _ in first })
    let session = try Session(graph, options: QConvert.sessionOptions(threads: threads))
    for index in 0..<dataset.count {
      let sample = try dataset.sample(index)
      _ = try session.run(sample.inputs, observing: targets) { (id, tensor) throws(Refusal) in
        if let place = position[id] { observers[place].observe(tensor) }
      }
      progress(index + 1, dataset.count)
    }
    var ranges = ActivationRanges()
    for (id, observer) in zip(targets, observers) { try ranges.set(graph[id].name, from: observer) }
    let summary = Summary(
      observer: observer.rawValue,
      samples: dataset.count,
      data: dataset.summary,
      digest: try dataset.digest()
    )
    return (ranges, summary)
  }
}
