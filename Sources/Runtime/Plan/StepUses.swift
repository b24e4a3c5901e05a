internal import GraphIR

/// Who reads the values of a program.
struct StepUses {
  /// By value, the steps that read it: once per operand, constant steps not counted.
  private var readers: [ValueID: [Int]] = [:]
  private let outputs: Set<ValueID>

  init(_ program: Program) {
    outputs = Set(program.outputs)
    for (index, step) in program.steps.enumerated() where !step.isConstant {
      for case let input? in step.inputs { readers[input, default: []].append(index) }
    }
  }

  /// The steps that read a value, in order of execution.
  func readers(of id: ValueID) -> [Int] { readers[id] ?? [] }

  /// The step that reads a value through one operand, if nothing else needs the value.
  func onlyReader(of id: ValueID) -> Int? { isNeeded(id, besides: nil) ? nil : readers[id]?.first }

  /// Whether something reads the value other than one operand of `step`, or of any one step if that is nil.
  func isNeeded(_ id: ValueID, besides step: Int?) -> Bool {
    let all = readers(of: id)
    return outputs.contains(id) || all.count > 1 || (step != nil && all.first != step)
  }
}
