/// What is known of samples and of the network that they are for; judged by ``PreflightEvidence/findings``.
struct PreflightEvidence: Sendable {
  /// What the first layer tells.
  struct Layer: Sendable {
    /// The node that holds the statistics of the training.
    var place: String
    /// Divergence from training of the samples as they are.
    var given: Double
    /// The change of scale and shift that fits best, and what it leaves.
    var best: (transform: InputTransform, distance: Double)
    /// Divergence under other preprocessings, the usual one of the network first.
    var hypotheses: [PreflightReport.Hypothesis]
    /// What exchanging red and blue would do; nil for grey images.
    var exchange: Exchange?
  }

  /// How the two orders of channels compare.
  struct Exchange: Hashable, Sendable {
    /// Divergence with red and blue exchanged.
    var distance: Double
    /// Mean root of the channels' divergences as they are.
    var given: Double
    /// The same with red and blue exchanged.
    var other: Double
    /// Standard error of the difference of the two.
    var error: Double
  }

  /// Samples looked at.
  var samples: Int
  var statistics: SampleStatistics
  /// Whether values are expected to vary: not those of masks beside other inputs, or of integers.
  var isMeasured = true
  /// Samples that equal one before them.
  var duplicates = 0
  /// Whether flags say how samples become inputs; otherwise arrays hold inputs as they are.
  var isPreprocessed = true
  /// Whether ranges are chosen from the samples.
  var isCalibration = true
  /// Nil where no layer tells of the training.
  var layer: Layer?
  /// What the network does to its input before the first layer; nil: nothing.
  var front: InputTransform?
  /// Flags of the preprocessing that the file declares, where the samples were made otherwise.
  var otherDeclaration: String?
  /// What takes pixels 0...255 to the samples, where that is known.
  var source: InputTransform?
  /// Flags of the preprocessing under which predictions would tell more, and by what factor; nil where none does.
  var betterPredictions: (flags: String, factor: Double)?

  /// Whether most samples are finite and vary, so that a network may be run on them.
  var isSound: Bool {
    statistics.nonFiniteSamples == 0 && 2 * statistics.constantSamples < samples
      && 2 * statistics.noiseSamples < samples
  }
}

/// What counts as near and far, in nats; measured on networks and data of ours, with a factor of two in between.
enum PreflightBounds {
  /// Right samples of any number leave at most this.
  static let fitting = 0.1
  /// No kind of photograph is this far from another under the right preprocessing.
  static let absurd = 20.0
  /// A change that mends must leave at most this part.
  static let mendedPart = 0.25
  /// Standard errors by which the other order of channels must be nearer.
  static let significance = 3.0
  /// Fewer samples than these are told.
  static let fewSamples = 10
  /// The factor by which values are too large or too small rather than normalised otherwise.
  static let scaleFactor = 16.0

  /// From here on samples do not fit, if a simple change makes them fit.
  static func certain(_ samples: Int) -> Double { 0.25 * (1 + 4 / Double(max(samples, 1))) }

  /// From here on samples are suspect.
  static func likely(_ samples: Int) -> Double { 0.15 * (1 + 6 / Double(max(samples, 1))) }
}
