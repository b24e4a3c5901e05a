internal import BinaryIO
internal import GraphIR

/// How long each step of a network takes.
package struct Profile: Sendable {
  /// The instruction set that the kernels were chosen for, such as `avx2`.
  package var instructionSet: String
  /// In order of execution.
  package var steps: [StepProfile]

  /// The profile of a run that does the same `count` times, `threads` of them at a time.
  func repeated(_ count: Int, threads: Int) -> Profile {
    var result = self
    for index in steps.indices {
      result.steps[index].milliseconds *= Double(count) / Double(threads)
      result.steps[index].multiplyAdds *= count
    }
    return result
  }
}

/// The time of one step.
package struct StepProfile: Sendable {
  /// The name of the first node that computes, or of its result; `outputs` for the conversions at the end.
  package var name: String
  /// Of the first result.
  package var shape: [Int]
  /// ``Step/Kind/name``.
  package var kind: String
  /// The kernels that ran, in order.
  package var kernels: [String]
  /// The least of the runs.
  package var milliseconds: Double
  package var multiplyAdds: Int
  package var isInteger: Bool
  /// ``Step/reason``.
  package var reason: String?
}

extension Profile {
  /// Adds up the times of a plan's operations by step.
  init(_ timings: [PlanExecutor.Timing], of program: Program, instructionSet: String) {
    self.instructionSet = instructionSet
    steps = []
    var last: Int?
    for timing in timings {
      if timing.step != last { steps.append(StepProfile(timing.step, of: program)) }
      last = timing.step
      steps[steps.count - 1].kernels.append(timing.name)
      steps[steps.count - 1].milliseconds += timing.milliseconds
      for index in timing.joinedSteps {
        steps[steps.count - 1].multiplyAdds += program.steps[index].multiplyAdds(in: program.graph)
      }
    }
  }
}

extension StepProfile {
  fileprivate init(_ index: Int, of program: Program) {
    (kernels, milliseconds) = ([], 0)
    guard index < program.steps.count else {
      (name, shape, kind, multiplyAdds, isInteger) = ("outputs", [], "layout", 0, false)
      return
    }
    let step = program.steps[index]
    let graph = program.graph
    let node = step.nodes.first { !graph[$0].op.isConversion } ?? step.nodes.first
    let result = node.flatMap { graph[$0].outputs.first }.map { graph[$0].name }
    name = node.map { graph[$0].name }.flatMap { $0.isEmpty ? nil : $0 } ?? result ?? ""
    shape = step.outputs.first.flatMap { graph[$0].type.knownDims } ?? []
    kind = step.kind.name
    multiplyAdds = step.multiplyAdds(in: graph)
    isInteger = step.kind.isInteger
    reason = step.reason
  }
}

extension Op {
  /// Whether it only changes the number format, so that it names no step that does more.
  fileprivate var isConversion: Bool {
    switch self {
    case .quantizeLinear, .dequantizeLinear, .dequantizeBias, .dequantizeBlocks, .dynamicQuantize: true
    default: false
    }
  }
}
