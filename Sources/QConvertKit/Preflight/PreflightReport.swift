internal import BinaryIO

/// What a look at the samples before calibration or verification found; the `preflight` of `--json`.
public struct PreflightReport: Codable, Hashable, Sendable {
  /// What is wrong with samples.
  public enum Cause: String, Codable, Hashable, Sendable, CaseIterable {
    /// NaN or infinite values.
    case nonFinite = "non-finite"
    /// Samples without any variation.
    case constant
    /// Image-shaped samples whose neighbouring pixels are unrelated.
    case noise
    /// Values much larger than in training, such as 0...255 for a network that takes normalised input.
    case tooLarge = "too-large"
    /// Values much smaller than in training, such as normalised ones for a network that takes 0...255.
    case tooSmall = "too-small"
    /// Another mean or deviation than in training.
    case normalization
    /// Red and blue exchanged.
    case channelOrder = "channel-order"
    /// Samples that differ from those in training in a way that has no simple cause.
    case unlikeTraining = "unlike-training"
    /// Another preprocessing than the file declares.
    case declaration
    case duplicates
    case tooFew = "too-few"
  }

  /// How sure a finding is.
  public enum Certainty: String, Codable, Hashable, Sendable {
    case certain
    case likely
  }

  /// One thing that is wrong.
  public struct Finding: Codable, Hashable, Sendable {
    public var cause: Cause
    public var certainty: Certainty
    /// What was found and what was expected.
    public var problem: String
    /// What mends it.
    public var remedy: String
  }

  /// One channel of an image input, or all values of another input.
  public struct Channel: Codable, Hashable, Sendable {
    public var mean: Double
    public var deviation: Double
    public var minimum: Double
    public var maximum: Double
  }

  /// How far the first layer's responses would be from those in training under another preprocessing.
  public struct Hypothesis: Codable, Hashable, Sendable {
    /// Flags of the command line, such as `--preprocess imagenet`.
    public var flags: String
    public var distance: Double
  }

  /// Samples that were looked at.
  public var samples: Int
  /// Of the first input.
  public var channels: [Channel]
  /// What tells of the training data, such as a BatchNorm; nil: nothing does.
  public var evidence: String?
  /// Mean Kullback-Leibler divergence, in nats, between the responses of the first layer's channels and those in training.
  public var distance: Double?
  public var hypotheses: [Hypothesis]
  /// Most serious first.
  public var findings: [Finding]

  /// One line for each finding.
  public var warnings: [String] {
    findings.map { "preflight, \($0.certainty.rawValue): \($0.problem); \($0.remedy)" }
  }

  /// The refusal of the first finding that is certain; nil without one.
  ///
  /// - Parameter data: What the samples are, such as `calibration data`.
  func refusal(of data: String) -> Refusal? {
    guard let finding = findings.first(where: { $0.certainty == .certain }) else { return nil }
    return Refusal(
      .invalid,
      at: data,
      rule: "D12",
      "\(finding.problem) (\(finding.cause.rawValue))",
      remedy: "\(finding.remedy), or use --preflight warn"
    )
  }
}
