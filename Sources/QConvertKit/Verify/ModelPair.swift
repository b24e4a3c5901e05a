internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Runtime

/// Two models that take the same inputs, run on the same samples.
struct ModelPair {
  let reference: Session
  let candidate: Session
  /// Samples that are run together.
  let batch: Int
  /// Whether the models take exactly ``batch`` samples, so that the last batch has to be filled up.
  let hasFixedBatch: Bool
  /// The candidate's name of each input of the reference.
  private let candidateNames: [String: String]

  /// - Throws: A refusal when the inputs or outputs of the two do not correspond.
  init(_ reference: Graph, _ candidate: Graph, batch: Int, _ options: SessionOptions) throws(Refusal) {
    let inputs = ModelInput.inputs(of: reference)
    let others = ModelInput.inputs(of: candidate)
    candidateNames = try ModelPair.match(inputs, others)
    guard reference.outputs.count == candidate.outputs.count else {
      throw ModelPair.refusal(
        "the candidate has \(candidate.outputs.count) outputs, the reference \(reference.outputs.count)"
      )
    }
    let fixed = Set((inputs + others).compactMap { $0.type.dims.first?.value })
    guard fixed.count <= 1 else {
      throw ModelPair.refusal(
        "the models take batches of \(fixed.sorted().map(String.init).joined(separator: " and "))"
      )
    }
    self.batch = max(1, fixed.first ?? (ModelPair.dependsOnBatch(reference, candidate) ? 1 : batch))
    hasFixedBatch = !fixed.isEmpty
    self.reference = try Session(reference, options: options)
    self.candidate = try Session(candidate, options: options)
  }

  /// Pairs inputs by name, or, where the names are different ones, by position.
  private static func match(
    _ inputs: [ModelInput],
    _ others: [ModelInput]
  ) throws(Refusal) -> [String: String] {
    guard inputs.count == others.count, !inputs.isEmpty else {
      throw refusal("the candidate takes \(others.count) inputs, the reference \(inputs.count)")
    }
    let sameNames = Set(inputs.map(\.name)) == Set(others.map(\.name))
    var names: [String: String] = [:]
    for (index, input) in inputs.enumerated() {
      let other = sameNames ? others.first { $0.name == input.name } ?? others[index] : others[index]
      guard fits(input.type, other.type) else {
        throw refusal("the reference takes \(input.type) where the candidate takes \(other.type)")
      }
      names[input.name] = other.name
    }
    return names
  }

  private static func fits(_ a: TensorType, _ b: TensorType) -> Bool {
    a.dtype == b.dtype && a.rank == b.rank
      && zip(a.dims, b.dims).allSatisfy { $0.value == nil || $1.value == nil || $0 == $1 }
  }

  /// Whether a sample's result depends on the others it runs with: dynamic ranges span the batch.
  private static func dependsOnBatch(_ graphs: Graph...) -> Bool {
    graphs.contains { graph in
      graph.order.contains { id in
        guard case .dynamicQuantize = graph[id].op else { return false }
        return true
      }
    }
  }

  /// The samples `range` of `data` as inputs of the reference, filled up to a fixed batch with the last sample.
  func inputs(_ range: Range<Int>, of data: Dataset) throws(Refusal) -> (
    inputs: [String: Tensor], labels: [Int?]
  ) {
    let read = try data.batch(range)
    guard hasFixedBatch, read.count < batch else { return (read.inputs, read.labels) }
    var padded: [String: Tensor] = [:]
    for (name, tensor) in read.inputs { padded[name] = try tensor.filledUp(to: batch) }
    return (padded, read.labels)
  }

  /// The same inputs under the candidate's names.
  func candidateInputs(_ inputs: [String: Tensor]) -> [String: Tensor] {
    var renamed: [String: Tensor] = [:]
    for (name, tensor) in inputs { renamed[candidateNames[name] ?? name] = tensor }
    return renamed
  }

  /// Runs both models; returns the outputs in the graphs' order.
  func run(
    _ inputs: [String: Tensor]
  ) throws(Refusal) -> (reference: [Tensor], candidate: [Tensor]) {
    let expected = try named("reference") { () throws(Refusal) in try reference.run(inputs) }
    let found = try named("candidate") { () throws(Refusal) in try candidate.run(candidateInputs(inputs)) }
    return (outputs(expected, of: reference.graph), outputs(found, of: candidate.graph))
  }

  private func outputs(_ tensors: [String: Tensor], of graph: Graph) -> [Tensor] {
    graph.outputs.compactMap { tensors[graph[$0].name] }
  }

  private static func refusal(_ problem: String) -> Refusal {
    Refusal(
      .usage,
      at: "models",
      rule: "V1",
      problem,
      remedy: "give two forms of one model"
    )
  }
}

/// Names the model in a refusal of `body`.
func named<R>(_ model: String, _ body: () throws(Refusal) -> R) throws(Refusal) -> R {
  do { return try body() } catch { throw error.at(model) }
}

extension Tensor {
  /// The tensor with its last sample repeated until there are `count`.
  fileprivate func filledUp(to count: Int) throws(Refusal) -> Tensor {
    let present = shape[0]
    let row = bytes.count / present
    let filled = try unsafe ByteSlice.build(count: row * count) { (target) throws(Refusal) in
      unsafe bytes.withUnsafeBytes { source in
        for index in 0..<count {
          let start = min(index, present - 1) * row
          unsafe UnsafeMutableRawBufferPointer(rebasing: target[(index * row)...])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[start..<(start + row)]))
        }
      }
    }
    return Tensor(dtype, [count] + shape.dropFirst(), bytes: filled) ?? self
  }
}
