internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Runtime

/// Times models.
public enum Bench {
  /// Times models at every combination of batch size and thread count.
  ///
  /// The models of a combination are loaded together and timed in alternating blocks, so that their ratio holds on a
  /// machine that changes its speed. Inputs are made up from a seed; the clock is monotonic.
  ///
  /// - Parameters:
  ///   - models: `.onnx`, `.safetensors` or `.qmodel` files.
  ///   - options: What is measured.
  ///   - progress: Called with the combinations done and of all.
  /// - Throws: A refusal when a file cannot be used or does not take what is asked for; before anything is timed where
  ///   that can be known.
  public static func run(
    models: [String],
    options: BenchOptions = BenchOptions(),
    progress: ((Int, Int) -> Void)? = nil
  ) throws -> BenchReport {
    try check(models, options)
    var entrants: [Entrant] = []
    for model in models { entrants.append(try Entrant(model, options)) }
    let plot = try options.plot.map { (path) throws(Refusal) in try PlotFile(path) }
    let batches = options.batches?.map(Optional.some) ?? [nil]
    var results: [BenchResult] = []
    let total = options.threads.count * batches.count
    for threads in options.threads {
      for batch in batches {
        progress?(results.count / models.count, total)
        var contestants: [Contestant] = []
        for entrant in entrants {
          contestants.append(try Contestant(entrant, batch: batch, threads: threads, options))
        }
        results += try measure(contestants, options)
      }
    }
    progress?(total, total)
    let report = BenchReport(results: results)
    try plot?.write(report.plot)
    return report
  }

  private static func check(_ models: [String], _ options: BenchOptions) throws(Refusal) {
    let numbers = (options.batches ?? []) + options.threads + (options.runs.map { [$0] } ?? [])
    let isEmpty = models.isEmpty || options.threads.isEmpty || options.batches?.isEmpty == true
    let extents = numbers + options.dims.values
    guard !isEmpty, extents.allSatisfy({ (1...1 << 20).contains($0) }) else {
      throw Refusal(
        .usage,
        at: "benchmark",
        rule: "B4",
        isEmpty
          ? "there is nothing to measure"
          : "a batch size, thread count, extent or number of runs is not 1 to 1048576",
        remedy: "give at least one model and numbers from 1 on"
      )
    }
  }

  /// Warms up, times in alternating blocks, and profiles.
  private static func measure(
    _ contestants: [Contestant],
    _ options: BenchOptions
  ) throws(Refusal) -> [BenchResult] {
    var slowest = 0.0
    for contestant in contestants { slowest = max(slowest, try contestant.warmUp()) }
    let runs = options.runs ?? max(10, min(200, Int(1000 / max(slowest, 1e-3))))
    var samples = [[Double]](repeating: [], count: contestants.count)
    for block in BlockSchedule.blocks(models: contestants.count, runs: runs) {
      let contestant = contestants[block.model]
      // The first run after another model's block finds foreign caches and, for a moment, foreign threads.
      if contestants.count > 1 { _ = try contestant.time() }
      for _ in 0..<block.runs { samples[block.model].append(try contestant.time()) }
    }
    var results: [BenchResult] = []
    for (contestant, times) in zip(contestants, samples) {
      results.append(try contestant.result(times, profiling: options.profile))
    }
    return results
  }
}

/// A model that can be loaded with the batch sizes asked for.
private struct Entrant {
  let path: String
  let inputs: BenchInputs

  init(_ path: String, _ options: BenchOptions) throws(Refusal) {
    self.path = path
    inputs = try inFile(path) { () throws(Refusal) in
      let graph = try Loader.loadOneOfSeveral(
        path,
        architecture: options.architecture,
        inputSize: options.inputSize
      )
      let inputs = try BenchInputs(ModelInput.inputs(of: graph), dims: options.dims)
      for batch in options.batches ?? [] { _ = try inputs.shapes(batch: batch) }
      return inputs
    }
  }
}

/// A loaded model with its inputs.
private struct Contestant {
  private let path: String
  private let batch: Int
  private let threads: Int
  private let tensors: [String: Tensor]
  private let session: Session
  private let loadMS: Double

  /// Loads the model and runs it once, which prepares its plan.
  init(_ entrant: Entrant, batch: Int?, threads: Int, _ options: BenchOptions) throws(Refusal) {
    path = entrant.path
    self.threads = threads
    let size = batch ?? entrant.inputs.fixedBatch ?? 1
    self.batch = size
    tensors = try inFile(path) { () throws(Refusal) in
      try entrant.inputs.tensors(batch: size, seed: options.seed)
    }
    let inputs = tensors
    let start = ContinuousClock.now
    session = try inFile(path) { () throws(Refusal) in
      let graph = try Loader.loadOneOfSeveral(
        entrant.path,
        architecture: options.architecture,
        inputSize: options.inputSize
      )
      let session = try Session(graph, options: SessionOptions(threads: threads))
      _ = try session.run(inputs)
      return session
    }
    loadMS = start.millisecondsToNow
  }

  /// Runs a while.
  ///
  /// - Returns: The median time of a run, in milliseconds.
  func warmUp() throws(Refusal) -> Double {
    let start = ContinuousClock.now
    var times: [Double] = []
    while times.count < 2 || (times.count < 50 && start.millisecondsToNow < 200) { times.append(try time()) }
    return LatencyStatistics(times).median
  }

  /// The time of one run, in milliseconds.
  func time() throws(Refusal) -> Double {
    let start = ContinuousClock.now
    let outputs = try session.run(tensors)
    let time = start.millisecondsToNow
    withExtendedLifetime(outputs) {}
    return time
  }

  func result(_ times: [Double], profiling: Bool) throws(Refusal) -> BenchResult {
    let statistics = LatencyStatistics(times)
    let memory = try session.memory(tensors)
    let profile = try profiling ? session.profile(tensors, runs: max(3, min(50, times.count))) : nil
    return BenchResult(
      model: path,
      batch: batch,
      threads: threads,
      runs: times.count,
      meanMS: statistics.mean,
      stdMS: statistics.deviation,
      medianMS: statistics.median,
      minMS: statistics.minimum,
      p95MS: statistics.p95,
      throughput: Double(batch) * 1000 / max(statistics.median, 1e-9),
      loadMS: loadMS,
      memoryBytes: memory.total,
      weightBytes: memory.weights,
      activationBytes: memory.activations,
      cpu: Process.cpuName,
      profile: profile.map(BenchResult.StepTime.list)
    )
  }
}

extension ContinuousClock.Instant {
  /// The time that has passed since, in milliseconds.
  fileprivate var millisecondsToNow: Double { (ContinuousClock.now - self) / .milliseconds(1) }
}

extension BenchResult.StepTime {
  /// The steps of a profile with their shares.
  fileprivate static func list(_ profile: Profile) -> [BenchResult.StepTime] {
    let total = profile.steps.map(\.milliseconds).reduce(0, +)
    return profile.steps.map { step in
      let operations = 2 * Double(step.multiplyAdds)
      return BenchResult.StepTime(
        step: step.name,
        shape: step.shape,
        op: step.kind,
        kernel: step.kernels.joined(separator: " + "),
        isa: profile.instructionSet,
        arithmetic: step.isInteger ? "int8" : "float",
        reason: step.reason,
        ms: step.milliseconds,
        share: total > 0 ? step.milliseconds / total : 0,
        gops: operations > 0 && step.milliseconds > 0 ? operations / (step.milliseconds * 1e6) : nil
      )
    }
  }
}
