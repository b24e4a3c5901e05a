public import BinaryIO
public import GraphIR

/// Bare weights: named tensors without a graph.
public struct Checkpoint: Sendable {
  /// In the order of the file.
  public let entries: [(name: String, tensor: Tensor)]
  /// What files beside it say.
  public let settings: ModelSettings
  /// The size of images that the network shall take; nil: the usual one.
  public let inputSize: ImageSize?
  private let table: [String: Int]

  /// - Throws: A refusal when a name occurs twice.
  public init(
    _ entries: [(name: String, tensor: Tensor)],
    settings: ModelSettings = ModelSettings(),
    inputSize: ImageSize? = nil
  ) throws(Refusal) {
    var table: [String: Int] = [:]
    for (index, entry) in entries.enumerated() {
      guard table.updateValue(index, forKey: entry.name) == nil else {
        throw Refusal(
          .invalid,
          at: "tensor \(Refusal.quoted(entry.name))",
          rule: "S4",
          "is given twice",
          remedy: "save the checkpoint with unique names"
        )
      }
    }
    self.entries = entries
    self.settings = settings
    self.inputSize = inputSize
    self.table = table
  }

  public subscript(name: String) -> Tensor? { table[name].map { entries[$0].tensor } }

  /// Prefixes that training wrappers put before every name.
  private static let wrappers = ["module.", "model.", "backbone.", "_orig_mod."]

  /// The same tensors without the prefixes that all names share.
  func unwrapped() throws(Refusal) -> Checkpoint {
    var entries = self.entries
    while !entries.isEmpty,
      let prefix = Checkpoint.wrappers.first(where: { prefix in
        entries.allSatisfy { $0.name.hasPrefix(prefix) && $0.name.utf8.count > prefix.utf8.count }
      })
    {
      entries = entries.map { (String($0.name.dropFirst(prefix.count)), $0.tensor) }
    }
    return try Checkpoint(entries, settings: settings, inputSize: inputSize)
  }

  /// An extent of a tensor, for descriptions that take widths from the checkpoint.
  ///
  /// - Parameters:
  ///   - name: The tensor.
  ///   - axis: Its dimension.
  /// - Returns: nil when there is none that a network could have: absent, 0, or above 2^31 − 1.
  func extent(_ name: String, axis: Int) -> Int? {
    guard let shape = self[name]?.shape, shape.indices.contains(axis),
      (1...Limits.standard.dimension).contains(shape[axis])
    else { return nil }
    return shape[axis]
  }
}
