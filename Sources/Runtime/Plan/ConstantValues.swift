internal import BinaryIO
internal import GraphIR

/// The constants of a program: those of the graph and the results of constant steps, computed when asked for.
final class ConstantValues {
  private let program: Program
  private let memoryLimit: Int
  private var producers: [ValueID: Int] = [:]
  /// Results small enough to keep.
  private var kept: [ValueID: Tensor] = [:]
  private static let keptBytes = 1 << 16

  init(_ program: Program, memoryLimit: Int) {
    self.program = program
    self.memoryLimit = memoryLimit
    for (index, step) in program.steps.enumerated() where step.isConstant {
      for id in step.outputs { producers[id] = index }
    }
  }

  func isConstant(_ id: ValueID) -> Bool { program.graph[id].isConstant || producers[id] != nil }

  /// The step that computes a constant; nil for a constant of the graph.
  func step(of id: ValueID) -> Step? { producers[id].map { program.steps[$0] } }

  /// The value, which is constant.
  ///
  /// - Throws: A refusal when the step that computes it breaks a rule.
  func tensor(_ id: ValueID) throws(Refusal) -> Tensor {
    if let tensor = program.graph[id].constant ?? kept[id] { return tensor }
    guard let step = step(of: id) else {
      throw Evaluation.refusal("O23", "value \(Refusal.quoted(program.graph[id].name)) was not computed")
    }
    var operands: [Tensor?] = []
    for input in step.inputs {
      guard let input else {
        operands.append(nil)
        continue
      }
      operands.append(try tensor(input))
    }
    let results = try Reference.run(step, inputs: operands, memoryLimit: memoryLimit)
    for case let operand? in operands { operand.releasePages() }
    var wanted: Tensor?
    for (output, tensor) in zip(step.outputs, results) {
      if tensor.bytes.count <= ConstantValues.keptBytes { kept[output] = tensor }
      if output == id { wanted = tensor }
    }
    guard let wanted else { throw Evaluation.refusal("O23", "a constant step has no such result") }
    return wanted
  }
}
