package import BinaryIO
package import GraphIR

extension Program {
  /// Per step, the values that no later step and no output needs; inputs included, constants and their like not.
  package func dyingValues() -> [[ValueID]] {
    var seen = Set(outputs)
    var lasting: Set<ValueID> = []
    for step in steps where step.isConstant { lasting.formUnion(step.outputs) }
    var result = [[ValueID]](repeating: [], count: steps.count)
    for index in steps.indices.reversed() where !steps[index].isConstant {
      for case let id? in steps[index].inputs + steps[index].outputs.map(Optional.some)
      where !graph[id].isConstant && !lasting.contains(id) && seen.insert(id).inserted {
        result[index].append(id)
      }
    }
    return result
  }

  /// Most bytes of inputs and results of steps alive at one time, those of constant steps apart; nil where a shape is
  /// known only at run time.
  package var peakActivationBytes: Int? {
    let values = inputs + steps.filter { !$0.isConstant }.flatMap(\.outputs)
    guard values.allSatisfy({ graph[$0].type.elementCount != nil }) else { return nil }
    return try? checkMemory(.max, countingConstants: false)
  }

  /// Most bytes of values alive at one time, constants not, results of constant steps if `countingConstants`.
  ///
  /// Values whose shape is known only at run time count as 0; the executors check those as they appear.
  ///
  /// - Throws: A refusal (L12) when it exceeds `limit`.
  @discardableResult
  package func checkMemory(_ limit: Int, countingConstants: Bool = true) throws(Refusal) -> Int {
    var current = 0
    var peak = 0
    func add(_ id: ValueID, at label: String) throws(Refusal) {
      guard let sum = Checked.sum(current, bytes(of: id)), sum <= limit else {
        throw Refusal(
          .limit,
          at: label,
          rule: "L12",
          "activations of more than \(limit) bytes would be alive at one time",
          remedy: "use a smaller batch or input, or a machine with more memory"
        )
      }
      current = sum
      peak = max(peak, current)
    }
    for id in inputs { try add(id, at: "input \(Refusal.quoted(graph[id].name))") }
    let dying = dyingValues()
    for (index, step) in steps.enumerated() {
      for id in step.outputs where countingConstants || !step.isConstant {
        try add(id, at: step.nodes.first.map(graph.label) ?? "")
      }
      for id in dying[index] { current -= bytes(of: id) }
    }
    return peak
  }

  private func bytes(of id: ValueID) -> Int {
    let type = graph[id].type
    return type.elementCount.flatMap { Checked.product($0, type.dtype.size) } ?? 0
  }
}
