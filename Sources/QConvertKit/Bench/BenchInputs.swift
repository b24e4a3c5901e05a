internal import BinaryIO
internal import Datasets
internal import GraphIR

/// The inputs of a model with their dimensions bound, and seeded tensors for them.
struct BenchInputs {
  private let inputs: [ModelInput]
  private let dims: [String: Int]
  /// The batch that the model is made for; nil: it takes any.
  let fixedBatch: Int?

  /// - Parameters:
  ///   - inputs: The model's inputs.
  ///   - dims: Extents of symbols other than the batch.
  /// - Throws: A refusal when a dimension stays unknown (B2) or the model has no such symbol (B3).
  init(_ inputs: [ModelInput], dims: [String: Int]) throws(Refusal) {
    self.inputs = inputs
    self.dims = dims
    let leading = inputs.compactMap(\.type.dims.first)
    let isFree = leading.contains { $0.value == nil && dims[$0.symbolName ?? ""] == nil }
    fixedBatch = isFree ? nil : leading.first.map { $0.value ?? dims[$0.symbolName ?? ""] ?? 1 } ?? 1
    let symbols = Set(inputs.flatMap(\.type.dims).compactMap(\.symbolName))
    if let stranger = dims.keys.filter({ !symbols.contains($0) }).min() {
      let known =
        symbols.isEmpty ? "none" : symbols.sorted().map { Refusal.printable($0) }.joined(separator: ", ")
      throw Refusal(
        .usage,
        at: "dimension \(Refusal.quoted(stranger))",
        rule: "B3",
        "the inputs have no such symbol; they have: \(known)",
        remedy: "give extents for those only"
      )
    }
    _ = try shapes(batch: fixedBatch ?? 1)
  }

  /// The input shapes for a batch size.
  ///
  /// - Throws: A refusal when the model takes another batch size (B1).
  func shapes(batch: Int) throws(Refusal) -> [[Int]] {
    if let fixedBatch, fixedBatch != batch {
      throw Refusal(
        .usage,
        at: "input \(inputs.first?.description ?? "")",
        rule: "B1",
        "the model is made for batches of \(fixedBatch), asked for \(batch)",
        remedy: "leave out that batch size, or export the model with a symbolic batch dimension"
      )
    }
    let batchSymbols = Set(inputs.compactMap { $0.type.dims.first?.symbolName })
    var shapes: [[Int]] = []
    for input in inputs {
      var shape: [Int] = []
      for (axis, dim) in input.type.dims.enumerated() {
        let bound =
          dim.value ?? dim.symbolName.flatMap { dims[$0] ?? (batchSymbols.contains($0) ? batch : nil) }
        guard let extent = bound ?? (axis == 0 ? batch : nil) else { throw unbound(input, dim) }
        shape.append(extent)
      }
      shapes.append(shape)
    }
    return shapes
  }

  private func unbound(_ input: ModelInput, _ dim: Dim) -> Refusal {
    Refusal(
      .usage,
      at: "input \(input.description)",
      rule: "B2",
      "dimension \(Refusal.printable(dim.description)) is not fixed",
      remedy: dim.symbolName.map { "give its extent with --dim \(Refusal.printable($0))=N" }
        ?? "export the model with a named or fixed dimension"
    )
  }

  /// Made-up inputs, the same for the same seed.
  func tensors(batch: Int, seed: UInt64) throws(Refusal) -> [String: Tensor] {
    var tensors: [String: Tensor] = [:]
    for (index, (input, shape)) in zip(inputs, try shapes(batch: batch)).enumerated() {
      tensors[input.name] = try Noise.tensor(
        input.type.dtype,
        shape,
        integers: input.integers,
        seed: seed &+ UInt64(index)
      )
    }
    return tensors
  }
}

extension Dim {
  /// The name of a symbolic extent.
  fileprivate var symbolName: String? {
    guard case .symbol(let name) = self else { return nil }
    return name
  }
}
