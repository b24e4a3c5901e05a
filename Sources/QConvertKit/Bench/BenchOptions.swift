/// What a benchmark measures.
public struct BenchOptions: Sendable {
  /// Batch sizes; nil: the one a model takes, or 1 where it takes any.
  public var batches: [Int]?
  /// Thread counts.
  public var threads: [Int]
  /// Timed runs per model; nil: about a second's worth, 10 to 200.
  public var runs: Int?
  /// Whether each step is timed, too.
  public var profile = false
  /// Extents of symbolic dimensions other than the batch, by name.
  public var dims: [String: Int] = [:]
  /// Architecture of bare checkpoints; nil: recognised.
  public var architecture: String?
  /// The size of images for bare checkpoints, `N` or `HxW`; nil: the usual one.
  public var inputSize: String?
  /// For the made-up inputs.
  public var seed: UInt64 = 1
  /// Where a plot of latency against batch size goes, as SVG.
  public var plot: String?

  /// - Parameter threads: Thread counts; nil: all processors.
  public init(threads: [Int]? = nil) {
    self.threads = threads ?? [QConvert.processors]
  }
}
