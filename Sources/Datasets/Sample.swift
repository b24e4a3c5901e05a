internal import BinaryIO
public import GraphIR

/// What one sample, or a batch of them, gives a model.
public struct Sample: Sendable {
  /// A tensor for every input of the model, its first axis counting samples.
  public var inputs: [String: Tensor]
  /// The index of the right class, where it is known.
  public var label: Int?

  public init(inputs: [String: Tensor], label: Int?) {
    self.inputs = inputs
    self.label = label
  }
}

/// Where samples come from.
///
/// Samples are made when asked for, so that memory does not depend on their number.
protocol SampleSource: Sendable {
  var count: Int { get }
  /// Whether every sample has a label.
  var hasLabels: Bool { get }
  /// For people, such as `400 images of 10 classes`.
  var summary: String { get }
  func name(_ index: Int) -> String
  func sample(_ index: Int) throws(Refusal) -> Sample
  /// Adds everything that the sample depends on.
  func fingerprint(_ index: Int, into hash: inout Fingerprint) throws(Refusal)
}
