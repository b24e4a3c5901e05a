/// How a candidate model compares with its reference; encodes to the documented JSON object of `verify --json`.
///
/// Shares are 0...1. Ratios are in dB, between -200 and 200, which stands for equal outputs.
public struct VerifyReport: Codable, Hashable, Sendable {
  /// One value inside of the networks.
  public struct Layer: Codable, Hashable, Sendable {
    /// The value's name, the same in both networks.
    public var name: String
    /// The operator that makes it in the reference.
    public var op: String
    public var sqnrDB: Double
    public var cosine: Double
    public var maxAbsError: Double

    enum CodingKeys: String, CodingKey {
      case name, op, cosine
      case sqnrDB = "sqnr_db"
      case maxAbsError = "max_abs_error"
    }
  }

  /// What the samples were, such as `400 images of 10 classes`.
  public var data: String
  /// Whether the samples were made up.
  public var synthetic: Bool
  public var samples: Int
  /// Accuracies; nil without labels.
  public var top1Reference: Double?
  public var top1Candidate: Double?
  public var top5Reference: Double?
  public var top5Candidate: Double?
  /// Share of samples on which both predict the same class; nil for outputs that are no class scores.
  public var top1Agreement: Double?
  /// Mean over the samples of the cosine between the outputs.
  public var cosine: Double
  /// Of all outputs of all samples together.
  public var sqnrDB: Double
  public var maxAbsError: Double
  public var meanAbsError: Double
  /// The sample whose outputs have the smallest cosine.
  public var worstSample: String
  public var worstCosine: Double
  /// Samples with outputs that are infinite or no numbers.
  public var nonFiniteReference: Int
  public var nonFiniteCandidate: Int
  /// Values inside of the networks in order of execution; nil unless asked for.
  public var layers: [Layer]?
  public var layerSamples: Int?
  /// The first of ``layers`` below the bound.
  public var firstLayerBelow: String?
  public var layerBound: Double?
  /// What a look at the samples found; nil without one.
  public var preflight: PreflightReport?
  /// What a reader should know, one sentence each.
  public var findings: [String]
  /// Why it did not pass, one sentence each.
  public var failures: [String]
  public var passed: Bool

  enum CodingKeys: String, CodingKey {
    case data, synthetic, samples, cosine, layers, preflight, findings, failures, passed
    case top1Reference = "top1_reference"
    case top1Candidate = "top1_candidate"
    case top5Reference = "top5_reference"
    case top5Candidate = "top5_candidate"
    case top1Agreement = "top1_agreement"
    case sqnrDB = "sqnr_db"
    case maxAbsError = "max_abs_error"
    case meanAbsError = "mean_abs_error"
    case worstSample = "worst_sample"
    case worstCosine = "worst_cosine"
    case nonFiniteReference = "non_finite_reference"
    case nonFiniteCandidate = "non_finite_candidate"
    case layerSamples = "layer_samples"
    case firstLayerBelow = "first_layer_below"
    case layerBound = "layer_bound"
  }
}
