internal import GraphIR

extension Program {
  /// Rows of one sample from which on a linear step pays for reading its weights anew for each sample.
  private static let fewRows = 16

  /// The first step of the part at the end whose matrix products have so few rows for each sample that their weights
  /// are better read once for the whole batch, as in the classifiers of convolutional networks; the number of steps if
  /// there is none.
  func firstStepOfClassifier(samples: Int) -> Int {
    var first = steps.count
    for (index, step) in steps.enumerated().reversed() where !step.isConstant {
      guard step.multiplyAdds(in: graph) > 0 else { continue }
      guard let result = step.outputs.first, let shape = graph[result].type.knownDims, shape.count == 2,
        shape[0] < Program.fewRows * samples
      else { break }
      first = index
    }
    return first
  }

  /// The steps of a range, and all that are constant, as a program of its own.
  func part(_ range: Range<Int>, inputs: [ValueID], outputs: [ValueID]) -> Program {
    var part = self
    part.steps = steps.enumerated().filter { range.contains($0.offset) || $0.element.isConstant }.map(
      \.element
    )
    part.inputs = inputs
    part.outputs = outputs
    return part
  }

  /// Values that steps before `cut` or the inputs give to steps from `cut` on or to the outputs, in order of first use.
  func values(across cut: Int) -> [ValueID] {
    var given = Set(inputs)
    for step in steps[..<cut] where !step.isConstant { given.formUnion(step.outputs) }
    var wanted: [ValueID] = []
    let uses = steps[cut...].filter { !$0.isConstant }.flatMap { $0.inputs.compactMap(\.self) } + outputs
    for id in uses where given.remove(id) != nil { wanted.append(id) }
    return wanted
  }
}
