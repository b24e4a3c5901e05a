internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Passes
internal import Quantization
internal import Runtime

/// Observes every value that becomes an 8-bit activation, one sample at a time.
struct Calibrator {
  /// Threads; nil: all processors.
  let threads: Int?
  /// The part of the samples to observe; nil: all.
  var shard: CalibrationShard?
  /// Whether histograms are made, which some observers do without.
  var isCounting = true

  /// Runs the float graph on every sample.
  ///
  /// - Returns: The statistics of each value that the quantizing passes ask for.
  /// - Throws: A refusal when there is no sample, or one cannot be read.
  func calibrate(
    _ graph: Graph,
    on dataset: Dataset,
    progress: (Int, Int) -> Void
  ) throws(Refusal) -> CalibrationStatistics {
    let first = (shard?.number ?? 1) - 1
    let step = shard?.count ?? 1
    let part = dataset.subset(from: first, every: step)
    guard part.count > 0 else {
      throw Refusal(
        .invalid,
        at: "calibration data",
        rule: "K7",
        shard == nil ? "holds no sample" : "has fewer samples than shards",
        remedy: "give a folder with images or arrays"
      )
    }
    let targets = QuantizationTargets.activationValues(graph)
    var statistics = targets.map { _ in ValueStatistics() }
    var digests: [CalibrationStatistics.SampleDigest] = []
    let position = Dictionary(zip(targets, targets.indices), uniquingKeysWith: { first, _ in first })
    let read = ChannelMeans.targets(graph)
    var sums = read.map { _ in ChannelSums() }
    let reading = Dictionary(zip(read.map(\.value), read.indices), uniquingKeysWith: { first, _ in first })
    let observed = targets + read.map(\.value).filter { position[$0] == nil }
    let session = try Session(graph, options: QConvert.sessionOptions(threads: threads))
    for index in 0..<part.count {
      let number = first + index * step
      let sample = try part.sample(index)
      _ = try session.run(sample.inputs, observing: observed) { (id, tensor) throws(Refusal) in
        if let place = position[id] {
          statistics[place].observe(tensor, sample: number, isCounting: isCounting)
        }
        if let place = reading[id] { sums[place].observe(tensor, isLast: read[place].isLast) }
      }
      digests.append(.init(sample: number, digest: try part.subset(from: index, limit: 1).digest()))
      progress(index + 1, part.count)
    }
    return CalibrationStatistics(
      model: ModelHash.text(of: graph),
      data: dataset.summary,
      preprocessing: graph.metadata[MetadataKey.preprocessing],
      samples: digests,
      values: zip(targets, statistics).map { .init(name: graph[$0].name, statistics: $1) },
      channels: zip(read, sums).map { .init(name: graph[$0.value].name, sums: $1) }
    )
  }
}

/// One of several equal parts of a data set: every `count`-th sample, from the `number`-th on.
public struct CalibrationShard: Hashable, Sendable {
  /// 1 to ``count``.
  public let number: Int
  public let count: Int

  /// The shard that a text such as `2/8` names; nil if it names none.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let number = parts[0], let count = parts[1], (1...1_000_000).contains(count),
      (1...count).contains(number)
    else { return nil }
    self.number = number
    self.count = count
  }
}
