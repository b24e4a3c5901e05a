package import BinaryIO
package import GraphIR

/// Runs the steps of a program one after another on tensors in the graph's own layout.
package final class ReferenceExecutor: Executor {
  private let program: Program
  private let memoryLimit: Int
  /// Per step, the values nobody needs after it.
  private let dying: [[ValueID]]
  /// Constants and the results of constant steps.
  private let constants: [ValueID: Tensor]

  /// - Throws: A refusal when a constant step breaks a rule or memory runs out.
  package init(_ program: Program, memoryLimit: Int = .max) throws(Refusal) {
    self.program = program
    self.memoryLimit = memoryLimit
    dying = program.dyingValues()
    var constants: [ValueID: Tensor] = [:]
    for step in program.steps where step.isConstant {
      let results = try ReferenceExecutor.run(step, of: program, constants, memoryLimit)
      for (id, tensor) in zip(step.outputs, results) { constants[id] = tensor }
    }
    self.constants = constants
  }

  package func run(
    _ inputs: [Tensor],
    observing observed: Set<ValueID>,
    _ observe: ValueObserver
  ) throws(Refusal) -> [Tensor] {
    var values = constants
    func show(_ id: ValueID, _ tensor: Tensor) throws(Refusal) {
      if observed.contains(id) { try observe(id, tensor) }
    }
    for (id, tensor) in zip(program.inputs, inputs) {
      values[id] = tensor
      try show(id, tensor)
    }
    for (index, step) in program.steps.enumerated() {
      if step.isConstant {
        for case (let id, let tensor?) in step.outputs.map({ ($0, constants[$0]) }) { try show(id, tensor) }
        continue
      }
      let results = try ReferenceExecutor.run(step, of: program, values, memoryLimit)
      for (id, tensor) in zip(step.outputs, results) {
        values[id] = tensor
        try show(id, tensor)
      }
      for id in dying[index] { values[id] = nil }
    }
    var outputs: [Tensor] = []
    for id in program.outputs { outputs.append(try ReferenceExecutor.tensor(id, of: program, values)) }
    return outputs
  }

  /// Tensors come and go with each run; only the results of constant steps stay.
  package var memory: MemoryUse {
    var memory = MemoryUse()
    memory.constants = constants.values.reduce(0) { $0 + $1.bytes.count }
    return memory
  }

  package func profile(_ inputs: [Tensor], runs: Int) throws(Refusal) -> Profile {
    throw Refusal(
      .unsupported,
      at: "profile",
      rule: "R6",
      "the network runs on the reference executor, whose steps are not timed",
      remedy: "use the plan executor, which needs shapes that follow from those of the inputs"
    )
  }

  private static func run(
    _ step: Step,
    of program: Program,
    _ values: [ValueID: Tensor],
    _ memoryLimit: Int
  ) throws(Refusal) -> [Tensor] {
    var operands: [Tensor?] = []
    for id in step.inputs {
      guard let id else {
        operands.append(nil)
        continue
      }
      operands.append(try tensor(id, of: program, values))
    }
    do { return try Reference.run(step, inputs: operands, memoryLimit: memoryLimit) } catch {
      throw step.nodes.first.map { error.at(program.graph.label(of: $0)) } ?? error
    }
  }

  private static func tensor(
    _ id: ValueID,
    of program: Program,
    _ values: [ValueID: Tensor]
  ) throws(Refusal) -> Tensor {
    guard let tensor = values[id] ?? program.graph[id].constant else {
      throw Evaluation.refusal("O23", "value \(Refusal.quoted(program.graph[id].name)) was not computed")
    }
    return tensor
  }
}
