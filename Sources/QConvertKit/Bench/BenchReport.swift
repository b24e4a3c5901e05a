/// What a benchmark measured; encodes to the documented list of `bench --json`.
public struct BenchReport: Codable, Hashable, Sendable {
  /// By threads, then batch, then model in the order given.
  public var results: [BenchResult]

  public init(results: [BenchResult]) { self.results = results }

  public init(from decoder: any Decoder) throws {
    results = try decoder.singleValueContainer().decode([BenchResult].self)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(results)
  }
}

/// The times of one model at one batch size and thread count.
///
/// A run hands over inputs and takes outputs, as a user's does. Times are in milliseconds.
public struct BenchResult: Codable, Hashable, Sendable {
  /// The file as given.
  public var model: String
  public var batch: Int
  public var threads: Int
  /// Timed runs.
  public var runs: Int
  public var meanMS: Double
  /// Sample standard deviation.
  public var stdMS: Double
  public var medianMS: Double
  public var minMS: Double
  public var p95MS: Double
  /// Samples (not batches) per second at the median.
  public var throughput: Double
  /// From opening the file to the first result, in this process.
  public var loadMS: Double
  /// What the network holds between runs: packed weights, constants, activations and scratch.
  public var memoryBytes: Int
  /// The weights among them.
  public var weightBytes: Int
  /// The activations among them.
  public var activationBytes: Int
  /// The processor's name for itself.
  public var cpu: String
  /// The time of each step in order of execution; nil unless asked for.
  public var profile: [StepTime]?

  /// The time of one step: an operator, or a group of them that runs as one.
  public struct StepTime: Codable, Hashable, Sendable {
    /// The name of the first node that computes, or of its result.
    public var step: String
    /// Extents of the first result.
    public var shape: [Int]
    /// What it computes, such as `integer conv`.
    public var op: String
    /// The kernels that ran, such as `int8 conv 3x3`.
    public var kernel: String
    /// The instruction set that kernels were chosen for, such as `avx2`.
    public var isa: String
    /// `int8` or `float`.
    public var arithmetic: String
    /// Why it is float although its surroundings are int8; nil where nobody asked for integers.
    public var reason: String?
    /// The least of the profiled runs.
    public var ms: Double
    /// Of the sum of all steps, 0 to 1.
    public var share: Double
    /// Thousand millions of operations per second, two per multiply-add; nil where there are no multiply-adds.
    public var gops: Double?
  }

  enum CodingKeys: String, CodingKey {
    case model, batch, threads, runs, cpu, profile
    case meanMS = "mean_ms"
    case stdMS = "std_ms"
    case medianMS = "median_ms"
    case minMS = "min_ms"
    case p95MS = "p95_ms"
    case throughput = "throughput_per_s"
    case loadMS = "load_ms"
    case memoryBytes = "memory_bytes"
    case weightBytes = "weight_bytes"
    case activationBytes = "activation_bytes"
  }
}
