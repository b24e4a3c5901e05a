package import BinaryIO
package import GraphIR
internal import Kernels

/// The fast executor: kernels on prepacked weights and one arena of memory.
///
/// `Sendable` unchecked because its working memory is shared by calls, of which the session makes one at a time.
package final class PlanExecutor: Executor, @unchecked Sendable {
  private let program: Program
  private let run: PlanRun
  private let slots: [Slot]
  private let operations: [Operation]
  /// Per step, the range of its operations.
  private let ranges: [Int: Range<Int>]
  private let inputs: [SlotID]
  private let outputs: [Output]
  private let constants: ConstantValues
  private let views: [ValueID: LazyView]
  /// Bytes of the arena that holds all activations.
  package let arenaBytes: Int
  private let resources: PlanResources
  private let constantBytes: Int

  /// Where a result of the network is.
  private enum Output {
    case slot(SlotID)
    case constant(Tensor)

    var place: SlotID? {
      guard case .slot(let slot) = self else { return nil }
      return slot
    }
  }

  /// The executor of a program: a plan, or the reference executor where shapes are known only at run time.
  ///
  /// - Parameters:
  ///   - program: What to run.
  ///   - resources: Threads and packed weights.
  ///   - memoryLimit: Most bytes of activations.
  ///   - isObservable: Whether every value of the steps can be shown; otherwise one operation may compute several steps.
  /// - Throws: A refusal when a constant breaks a rule or memory runs out.
  package static func make(
    _ program: Program,
    _ resources: PlanResources,
    memoryLimit: Int,
    isObservable: Bool = false
  ) throws(Refusal) -> any Executor {
    var builder = PlanBuilder(program, resources, memoryLimit: memoryLimit, joinsSteps: !isObservable)
    guard try builder.build() else { return try ReferenceExecutor(program, memoryLimit: memoryLimit) }
    return try PlanExecutor(program, builder, memoryLimit: memoryLimit)
  }

  private init(_ program: Program, _ builder: PlanBuilder, memoryLimit: Int) throws(Refusal) {
    var builder = builder
    self.program = program
    resources = builder.resources
    slots = builder.slots
    operations = builder.operations
    views = builder.views
    var ranges: [Int: Range<Int>] = [:]
    for (index, operation) in operations.enumerated() {
      ranges[operation.step] = (ranges[operation.step]?.lowerBound ?? index)..<index + 1
    }
    self.ranges = ranges
    inputs = try PlanExecutor.slots(of: program.inputs, &builder)
    var outputs: [Output] = []
    for id in program.outputs {
      outputs.append(
        builder.constants.isConstant(id)
          ? .constant(try builder.constants.tensor(id)) : .slot(try builder.read(id, .plain))
      )
    }
    self.outputs = outputs
    constants = builder.constants

    let layout = ArenaLayout(slots, operations, inputs: inputs, outputs: outputs.compactMap(\.place))
    arenaBytes = layout.size
    guard arenaBytes <= memoryLimit else {
      throw Refusal(
        .limit,
        at: "activations",
        rule: "L12",
        "need \(arenaBytes) bytes, the memory limit is \(memoryLimit)",
        remedy: "use a smaller input or a machine with more memory"
      )
    }
    constantBytes = builder.parameterBytes + builder.constantMemory.values.reduce(0) { $0 + $1.count }
    let arena = try PlanBuilder.memory(arenaBytes)
    let scratch = operations.map(\.scratchBytes).max() ?? 0
    guard builder.context.reserve(scratch) else { throw PlanBuilder.outOfMemory("scratch memory") }
    run = PlanRun(
      builder.context,
      slots.indices.map { index in
        builder.constantMemory[SlotID(index: index)]?.buffer
          ?? Buffer(arena, offset: layout.offsets[index], count: builder.slots[index].byteCount)
      }
    )
  }

  private static func slots(
    of ids: [ValueID],
    _ builder: inout PlanBuilder
  ) throws(Refusal) -> [SlotID] {
    var result: [SlotID] = []
    for id in ids { result.append(try builder.read(id, .plain)) }
    return result
  }

  package func run(
    _ inputs: [Tensor],
    observing observed: Set<ValueID>,
    _ observe: ValueObserver
  ) throws(Refusal) -> [Tensor] {
    for ((id, slot), tensor) in zip(zip(program.inputs, self.inputs), inputs) {
      unsafe tensor.bytes.withUnsafeBytes { unsafe run[slot].write($0) }
      if observed.contains(id) { try observe(id, tensor) }
    }
    for (index, step) in program.steps.enumerated() {
      for operation in operations[ranges[index] ?? 0..<0] {
        do { try operation.body(run) } catch {
          throw step.nodes.first.map { error.at(program.graph.label(of: $0)) } ?? error
        }
      }
      guard !observed.isEmpty else { continue }
      for id in step.outputs where observed.contains(id) { try show(id, index, observe) }
    }
    for operation in operations[ranges[program.steps.count] ?? 0..<0] { try operation.body(run) }
    var results: [Tensor] = []
    for output in outputs {
      switch output {
      case .constant(let tensor): results.append(tensor)
      case .slot(let id):
        let slot = slots[id.index]
        results.append(try PlanBuilder.tensor(slot.dtype, slot.shape, run[id]))
      }
    }
    return results
  }

  private func copy(of view: LazyView) throws(Refusal) -> Tensor {
    let dtype = slots[view.source.index].dtype
    let memory = try PlanBuilder.memory(view.extents.reduce(dtype.size, *))
    guard let strided = StridedView(extents: view.extents, strides: view.strides, offset: view.offset) else {
      throw Evaluation.refusal("R6", "a value of \(view.extents.count) axes is rearranged too often")
    }
    ViewKernel.gather(elementSize: dtype.size, strided, run[view.source], memory.buffer, in: run.context)
    return try PlanBuilder.tensor(dtype, view.extents, memory.buffer)
  }

  /// Hands out the value that a step has just written.
  private func show(_ id: ValueID, _ step: Int, _ observe: ValueObserver) throws(Refusal) {
    if constants.isConstant(id) { return try observe(id, constants.tensor(id)) }
    let written = operations[ranges[step] ?? 0..<0].flatMap(\.writes).first { slots[$0.index].value == id }
    guard let written else {
      guard let view = views[id] else { return }
      return try observe(id, copy(of: view))
    }
    let slot = slots[written.index]
    guard slot.layout == .channelsLast else {
      return try observe(id, PlanBuilder.tensor(slot.dtype, slot.shape, run[written]))
    }
    let plain = try PlanBuilder.memory(slot.byteCount)
    PlanBuilder.convert(slot, run[written], plain.buffer, to: .plain, in: run.context)
    try observe(id, PlanBuilder.tensor(slot.dtype, slot.shape, plain.buffer))
  }
}

extension PlanExecutor {
  package var memory: MemoryUse {
    var memory = MemoryUse()
    memory.weights = resources.weightBytes
    memory.constants = constantBytes
    memory.activations = arenaBytes
    memory.scratch = resources.context.scratchBytes
    return memory
  }

  /// The time of one kernel call.
  struct Timing {
    /// Index of the step in the program.
    let step: Int
    let name: String
    /// Other steps that the call computes.
    let joinedSteps: [Int]
    /// The least of the runs.
    var milliseconds: Double
  }

  package func profile(_ inputs: [Tensor], runs: Int) throws(Refusal) -> Profile {
    var timings = operations.map {
      Timing(step: $0.step, name: $0.name, joinedSteps: $0.joinedSteps, milliseconds: .infinity)
    }
    let clock = ContinuousClock()
    for _ in 0..<runs {
      // Results may have taken the place of inputs.
      for (slot, tensor) in zip(self.inputs, inputs) {
        unsafe tensor.bytes.withUnsafeBytes { unsafe run[slot].write($0) }
      }
      for (index, operation) in operations.enumerated() {
        let start = clock.now
        try operation.body(run)
        let (seconds, attoseconds) = (clock.now - start).components
        let milliseconds = Double(seconds) * 1e3 + Double(attoseconds) / 1e15
        timings[index].milliseconds = min(timings[index].milliseconds, milliseconds)
      }
    }
    return Profile(timings, of: program, instructionSet: run.context.instructionSet.name)
  }
}
