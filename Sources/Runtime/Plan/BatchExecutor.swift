package import BinaryIO
package import GraphIR
internal import Kernels
internal import Synchronization

/// Runs the samples of a batch in small parts, several at the same time, each on one thread.
///
/// A part's activations stay in the cache where those of the batch would not, and threads meet once a run instead of
/// once a step. The classifier at the end runs on the whole batch, which reads its weights once. Samples do not see each
/// other in such a network, so the results are those of a plan for the whole batch, byte for byte.
///
/// `Sendable` unchecked because its plans are shared by calls, of which the session makes one at a time.
package final class BatchExecutor: Executor, @unchecked Sendable {
  /// Activations of a part fill at most this much, unless those of one sample are larger.
  private static let cacheBytes = 1 << 22

  private let resources: PlanResources
  private let samples: Int
  /// One per thread, each for ``partSamples`` samples.
  private let lanes: [PlanExecutor]
  private let partSamples: Int
  /// Runs a sample on all threads; nil where the lanes take all.
  private let single: PlanExecutor?
  /// The end of the network for the whole batch, if it is a part of its own.
  private let classifier: PlanExecutor?
  /// Of each input, whether its first axis counts samples.
  private let isPerSample: [Bool]

  /// - Parameters:
  ///   - network: What `program` was specialised from.
  ///   - program: The program for all samples.
  ///   - resources: Threads and weights.
  ///   - memoryLimit: Most bytes of activations.
  /// - Returns: nil where the network has no batch of several samples, or they may see each other.
  /// - Throws: A refusal when a constant breaks a rule or memory runs out.
  package static func make(
    _ network: Graph,
    _ program: Program,
    _ resources: PlanResources,
    memoryLimit: Int
  ) throws(Refusal) -> BatchExecutor? {
    guard let batch = Batch(network, program), let one = try batch.program(samples: 1),
      SampleIndependence.holds(network, one: one.graph, many: program.graph, samples: batch.samples),
      one.steps.map(\.outputs) == program.steps.map(\.outputs)
    else { return nil }
    return try BatchExecutor(batch, program, one, resources, memoryLimit: memoryLimit)
  }

  private init?(
    _ batch: Batch,
    _ program: Program,
    _ one: Program,
    _ resources: PlanResources,
    memoryLimit: Int
  ) throws(Refusal) {
    self.resources = resources
    samples = batch.samples
    isPerSample = batch.isPerSample
    let cut = program.firstStepOfClassifier(samples: samples)
    let border = cut < program.steps.count ? program.values(across: cut) : program.outputs
    func plan(_ program: Program, _ resources: PlanResources) throws(Refusal) -> PlanExecutor? {
      let part = program.part(0..<cut, inputs: program.inputs, outputs: border)
      return try PlanExecutor.make(part, resources, memoryLimit: memoryLimit) as? PlanExecutor
    }
    let laneCount = min(resources.context.threads, samples)
    guard var lane = try plan(one, resources.lane()) else { return nil }
    let most = samples / laneCount
    let fitting = (1...most).last {
      $0 * lane.arenaBytes <= BatchExecutor.cacheBytes && batch.samples % ($0 * laneCount) == 0
    }
    partSamples = fitting ?? 1
    var part = one
    if partSamples > 1, let larger = try batch.program(samples: partSamples) {
      part = larger
      guard let replacement = try plan(part, resources.lane()) else { return nil }
      lane = replacement
    }
    var lanes = [lane]
    for _ in 1..<laneCount {
      guard let lane = try plan(part, resources.lane()) else { return nil }
      lanes.append(lane)
    }
    self.lanes = lanes
    single = samples % (partSamples * laneCount) == 0 ? nil : try plan(one, resources)
    if cut < program.steps.count {
      let part = program.part(cut..<program.steps.count, inputs: border, outputs: program.outputs)
      classifier = try PlanExecutor.make(part, resources, memoryLimit: memoryLimit) as? PlanExecutor
      guard classifier != nil else { return nil }
    } else {
      classifier = nil
    }
  }

  package func run(
    _ inputs: [Tensor],
    observing observed: Set<ValueID>,
    _ observe: ValueObserver
  ) throws(Refusal) -> [Tensor] {
    precondition(observed.isEmpty, "parts of a batch show no values; observed runs have a plan of their own")
    let results = try runParts(inputs)
    return try classifier?.run(results) ?? results
  }

  package var memory: MemoryUse {
    var memory = MemoryUse()
    memory.weights = resources.weightBytes
    let onAllThreads = [single, classifier].compactMap(\.self).map(\.memory)
    for plan in lanes.map(\.memory) + onAllThreads {
      memory.constants += plan.constants
      memory.activations += plan.activations
    }
    memory.scratch = lanes.reduce(resources.context.scratchBytes) { $0 + $1.memory.scratch }
    return memory
  }

  /// Of the parts, each step's time is what it adds to that of the batch: the time of one part by their number and the
  /// lanes.
  package func profile(_ inputs: [Tensor], runs: Int) throws(Refusal) -> Profile {
    let part = try lanes[0].profile(samples(0..<partSamples, of: inputs), runs: runs)
    var profile = part.repeated(samples / partSamples, threads: lanes.count)
    guard let classifier else { return profile }
    profile.steps += try classifier.profile(runParts(inputs), runs: runs).steps
    return profile
  }

  /// What all samples give, without the classifier.
  private func runParts(_ inputs: [Tensor]) throws(Refusal) -> [Tensor] {
    var parts = try runLanes(inputs)
    for sample in parts.count * partSamples..<samples {
      guard let single else { break }
      parts.append(try single.run(samples(sample..<sample + 1, of: inputs)))
    }
    return try joined(parts)
  }

  /// The results of all parts that fill the lanes, in order.
  private func runLanes(_ inputs: [Tensor]) throws(Refusal) -> [[Tensor]] {
    let count = samples / (partSamples * lanes.count) * lanes.count
    let outcomes = Mutex([Result<[Tensor], Refusal>?](repeating: nil, count: count))
    resources.context.forEach(count) { [self] index, thread in
      let first = index * partSamples
      // With more threads than samples there is a lane for each part.
      let lane = count == lanes.count ? index : thread
      let outcome = Result { () throws(Refusal) in
        try lanes[lane].run(samples(first..<first + partSamples, of: inputs))
      }
      outcomes.withLock { $0[index] = outcome }
    }
    var parts: [[Tensor]] = []
    for case let outcome? in outcomes.withLock({ $0 }) { parts.append(try outcome.get()) }
    return parts
  }

  /// The inputs of some of the samples.
  private func samples(_ range: Range<Int>, of inputs: [Tensor]) -> [Tensor] {
    zip(inputs, isPerSample).map { tensor, isPerSample in
      guard isPerSample else { return tensor }
      let size = tensor.bytes.count / samples
      let bytes = tensor.bytes.slice(range.lowerBound * size..<range.upperBound * size)
      let shape = [range.count] + tensor.shape.dropFirst()
      return bytes.flatMap { Tensor(tensor.dtype, shape, bytes: $0) } ?? tensor
    }
  }

  /// Puts the parts' results one after another.
  private func joined(_ parts: [[Tensor]]) throws(Refusal) -> [Tensor] {
    var results: [Tensor] = []
    for index in parts[0].indices {
      let first = parts[0][index]
      let tensors = parts.map { $0[index] }
      let count = tensors.reduce(0) { $0 + $1.bytes.count }
      let bytes = try unsafe ByteSlice.build(count: count) { (target) throws(Refusal) in
        var offset = 0
        for tensor in tensors {
          unsafe tensor.bytes.withUnsafeBytes { source in
            unsafe UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: source)
          }
          offset += tensor.bytes.count
        }
      }
      guard let tensor = Tensor(first.dtype, [samples] + first.shape.dropFirst(), bytes: bytes) else {
        throw Evaluation.refusal("V1", "\(count) bytes are not \(samples) samples of shape \(first.shape)")
      }
      results.append(tensor)
    }
    return results
  }
}

/// Which inputs of a network count samples.
private struct Batch {
  let network: Graph
  let samples: Int
  let isPerSample: [Bool]
  private let types: [TensorType]

  /// nil where no symbol stands for the first extent of inputs alone, or it stands for less than 2.
  init?(_ network: Graph, _ program: Program) {
    self.network = network
    types = program.inputs.map { program.graph[$0].type }
    let dims = network.inputs.map { network[$0].type.dims }
    guard let symbol = dims.lazy.compactMap(\.first).first(where: { $0.value == nil && $0 != .unknown })
    else {
      return nil
    }
    isPerSample = dims.map { $0.first == symbol }
    guard dims.allSatisfy({ !$0.dropFirst().contains(symbol) }), let first = isPerSample.firstIndex(of: true),
      let samples = types[first].knownDims?.first, samples > 1
    else { return nil }
    self.samples = samples
  }

  /// The network for fewer samples; nil where it cannot be.
  func program(samples: Int) throws(Refusal) -> Program? {
    var inputTypes: [String: TensorType] = [:]
    for (index, id) in network.inputs.enumerated() {
      guard var shape = types[index].knownDims else { return nil }
      if isPerSample[index] { shape[0] = samples }
      inputTypes[network[id].name] = TensorType(types[index].dtype, known: shape)
    }
    return try Program(network, inputTypes: inputTypes)
  }
}

extension PlanExecutor {
  fileprivate func run(_ inputs: [Tensor]) throws(Refusal) -> [Tensor] {
    try run(inputs, observing: []) { (_, _) throws(Refusal) in }
  }
}
