internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Runtime

/// Compares the values inside of two networks that have the same names in both.
struct LayerComparison {
  private struct Entry {
    let name: String
    let op: String
    let reference: ValueID
    let candidate: ValueID
    var error = SignalError()
  }

  private var entries: [Entry] = []

  /// Finds the values that both networks compute as floats, in the reference's order of execution.
  init(_ pair: ModelPair, inputs: [String: Tensor]) throws(Refusal) {
    let reference = try pair.reference.program(inputTypes: inputs.mapValues(\.type))
    let candidate = try pair.candidate.program(inputTypes: pair.candidateInputs(inputs).mapValues(\.type))
    for id in reference.graph.order {
      for value in reference.graph[id].outputs where reference.isVisible(value) {
        let name = reference.graph[value].name
        guard let other = candidate.graph.value(named: name), candidate.isVisible(other),
          candidate.graph[other].type == reference.graph[value].type
        else { continue }
        let op = reference.graph[id].op.name
        entries.append(Entry(name: name, op: op, reference: value, candidate: other))
      }
    }
  }

  /// Runs both networks on a batch and adds the errors of all values.
  mutating func add(_ inputs: [String: Tensor], _ pair: ModelPair) throws(Refusal) {
    var expected: [ValueID: Tensor] = [:]
    let index = Dictionary(entries.enumerated().map { ($1.candidate, $0) }) { first, _ in first }
    _ = try named("reference") { () throws(Refusal) in
      try pair.reference.run(inputs, observing: entries.map(\.reference)) { (id, tensor) throws(Refusal) in
        expected[id] = tensor
      }
    }
    let renamed = pair.candidateInputs(inputs)
    _ = try named("candidate") { () throws(Refusal) in
      try pair.candidate.run(renamed, observing: entries.map(\.candidate)) { (id, tensor) throws(Refusal) in
        guard let entry = index[id], let other = expected.removeValue(forKey: entries[entry].reference),
          let reference = other.floatValues(), let candidate = tensor.floatValues(),
          reference.count == candidate.count
        else { return }
        entries[entry].error.add(reference: reference.span, candidate: candidate.span)
      }
    }
  }

  var layers: [VerifyReport.Layer] {
    entries.filter { $0.error.count > 0 }.map { entry in
      VerifyReport.Layer(
        name: entry.name,
        op: entry.op,
        sqnrDB: entry.error.decibels,
        cosine: entry.error.cosine,
        maxAbsError: Double(entry.error.largestError)
      )
    }
  }
}

extension Program {
  /// Whether the session can show the value, as floats.
  fileprivate func isVisible(_ id: ValueID) -> Bool {
    graph[id].type.dtype == .float32 && (standIns[id] != nil || isStored(id))
  }
}
