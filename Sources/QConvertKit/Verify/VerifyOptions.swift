/// What ``Verifier`` compares, and what counts as passed.
public struct VerifyOptions: Hashable, Sendable {
  /// Samples run together; models with a fixed batch use their own.
  public var batch = 8
  public var threads = 1
  /// Runs the plain executor instead of the fast one.
  public var usesReferenceExecutor = false
  /// Compares the values inside of the networks, too.
  public var perLayer = false
  /// Samples that the layers are compared on, spread over the data.
  public var layerSamples = 16
  /// The first layer whose signal-to-noise ratio is below this is pointed out, in dB.
  public var layerBound = 20.0
  /// Least share of samples on which both predict the same class, 0...1.
  public var minimumTop1Agreement: Double?
  /// Largest loss of top-1 accuracy, as a share of the samples (0.01 is one point); needs labels.
  public var maximumTop1Drop: Double?
  /// Least signal-to-noise ratio of the outputs, in dB.
  public var minimumSQNR: Double?
  /// Least mean cosine between the outputs.
  public var minimumCosine: Double?

  public init() {}
}
