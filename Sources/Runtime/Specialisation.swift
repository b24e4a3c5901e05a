internal import BinaryIO
internal import GraphIR

/// A program with the executor that runs it.
final class Specialisation: Sendable {
  private let program: Program
  private let executor: any Executor

  init(
    _ network: Graph,
    _ program: Program,
    _ options: SessionOptions,
    _ resources: inout PlanResources?,
    isObservable: Bool
  ) throws(Refusal) {
    try program.checkMemory(options.memoryLimit)
    self.program = program
    switch options.executor {
    case .reference: executor = try ReferenceExecutor(program, memoryLimit: options.memoryLimit)
    case .plan:
      let shared = if let resources { resources } else { try PlanResources(threads: options.threads) }
      resources = shared
      if !isObservable,
        let batch = try BatchExecutor.make(network, program, shared, memoryLimit: options.memoryLimit)
      {
        executor = batch
      } else {
        executor = try PlanExecutor.make(
          program,
          shared,
          memoryLimit: options.memoryLimit,
          isObservable: isObservable
        )
      }
    }
  }

  /// - Throws: As ``Session/run(_:observing:_:)``.
  func run(
    _ inputs: [Tensor],
    observing observed: [ValueID],
    _ observe: ValueObserver
  ) throws(Refusal) -> [Tensor] {
    var direct: Set<ValueID> = []
    var dequantized: [ValueID: [ValueID]] = [:]
    for id in Set(observed) {
      if let constant = program.graph[id].constant {
        try observe(id, constant)
      } else if let standIn = program.standIns[id] {
        dequantized[standIn.quantized, default: []].append(id)
      } else if program.isStored(id) {
        direct.insert(id)
      } else {
        throw Refusal(
          .usage,
          at: "value \(Refusal.quoted(program.graph[id].name))",
          rule: "R5",
          "is inside an integer step and has no value of its own",
          remedy: "observe the result of the step instead"
        )
      }
    }
    let all = direct.union(dequantized.keys)
    return try executor.run(inputs, observing: all) { (id, tensor) throws(Refusal) in
      if direct.contains(id) { try observe(id, tensor) }
      for standing in (dequantized[id] ?? []).sorted(by: { $0.index < $1.index }) {
        guard let stub = program.standIns[standing]?.stub else { continue }
        try observe(standing, Reference.dequantize(tensor, stub))
      }
    }
  }
}

extension Specialisation {
  /// What it holds between runs.
  var memory: MemoryUse { executor.memory }

  /// - Throws: As ``Session/profile(_:runs:)``.
  func profile(_ inputs: [Tensor], runs: Int) throws(Refusal) -> Profile {
    try executor.profile(inputs, runs: runs)
  }
}

/// The last few specialisations of a network, by input shapes.
struct SpecialisationCache: Sendable {
  private static let capacity = 4
  private var entries: [(shapes: [[Int]], isObservable: Bool, specialisation: Specialisation)] = []
  private var resources: PlanResources?

  /// The specialisation for these operands, made if there is none yet.
  ///
  /// - Parameters:
  ///   - operands: One per input.
  ///   - graph: The network.
  ///   - options: How it runs.
  ///   - isObservable: Whether it can show all values; it is slower, then.
  mutating func specialisation(
    for operands: [Tensor],
    of graph: Graph,
    _ options: SessionOptions,
    isObservable: Bool = false
  ) throws(Refusal) -> Specialisation {
    let shapes = operands.map(\.shape)
    let known = entries.firstIndex { $0.shapes == shapes && $0.isObservable == isObservable }
    if let index = known {
      let entry = entries.remove(at: index)
      entries.append(entry)
      return entry.specialisation
    }
    var types: [String: TensorType] = [:]
    for (id, operand) in zip(graph.inputs, operands) { types[graph[id].name] = operand.type }
    let program = try Program(graph, inputTypes: types)
    let made = try Specialisation(graph, program, options, &resources, isObservable: isObservable)
    if entries.count == SpecialisationCache.capacity { entries.removeFirst() }
    entries.append((shapes, isObservable, made))
    return made
  }
}
