public import Quantization

/// What the numbers of a converted model become.
public enum ConvertScheme: String, Hashable, Sendable, CaseIterable {
  /// i8 weights; activations as ``ActivationMode`` says.
  case int8
  /// f16 weights, widened when they are used.
  case fp16
  /// Weights of matrix products in 2 to 8 bits by blocks, tables in i8, the others as in ``fp16``; activations stay float.
  case weightOnly = "weight-only"
  /// Weights stay f32; only the graph is simplified.
  case fp32
}

/// How many scales an i8 weight has.
public enum WeightGranularity: String, Hashable, Sendable, CaseIterable {
  /// One for the tensor.
  case perTensor = "per-tensor"
  /// One per output channel.
  case perChannel = "per-channel"
}

/// How activations are quantized beside i8 weights.
public enum ActivationMode: String, Hashable, Sendable, CaseIterable {
  /// By ranges that calibration found.
  case `static`
  /// By the range of each input while the model runs.
  case dynamic
  /// Not at all: i8 weights are widened and computed with in float.
  case none
}

/// How many ranges a dynamically quantized activation has.
public enum ActivationGranularity: String, Hashable, Sendable, CaseIterable {
  /// One for the tensor.
  case perTensor = "per-tensor"
  /// One per row of a matrix product, which is a token of a transformer; convolutions have one.
  case perRow = "per-token"
}

/// What becomes of `clip(0, 6)`.
public enum Relu6Policy: String, Hashable, Sendable, CaseIterable {
  /// Becomes relu where the quantized range ends at 6 or below, so that saturation does the same; exact.
  case clamp
  /// Becomes relu before calibration, which changes the function where an activation exceeds 6.
  case swap
  /// Stays.
  case keep
}

/// The choices that passes follow.
public struct PassOptions: Hashable, Sendable {
  public var scheme: ConvertScheme
  public var granularity: WeightGranularity
  public var activations: ActivationMode
  public var relu6: Relu6Policy
  public var activationGranularity = ActivationGranularity.perTensor
  /// Whether the ranges of channels are evened out between layers.
  public var equalizes: Bool
  /// Whether the means of outputs are moved back on calibration data.
  public var correctsBias: Bool
  /// Whether biases make up for the rounding of weights by what BatchNorm tells of their data.
  public var correctsFromStatistics = false
  /// How scales of weights are chosen.
  public var weightScales = WeightScales.minMax
  /// How weights become integers.
  public var rounding: WeightRounding
  /// Bits of weights in ``ConvertScheme/weightOnly``, 2 to 8.
  public var bits = 4
  /// Weights that share a scale in ``ConvertScheme/weightOnly``: 32, 64 or 128.
  public var block = 32
  /// Whether ranges of channels move from activations to weights where samples show a gain.
  public var smooths = false
  /// The exponent of the activations' ranges, above 0 and below 1; nil: searched for.
  public var smoothingExponent: Float?
  /// Whether loud columns of matrix products stay float where samples show a gain.
  public var splitsOutliers = false
  /// Whether leading tokens get fixed ranges of their own where samples show a gain.
  public var splitsTokens = false

  public init(
    scheme: ConvertScheme = .int8,
    granularity: WeightGranularity = .perChannel,
    activations: ActivationMode = .static,
    relu6: Relu6Policy = .clamp,
    equalizes: Bool = false,
    correctsBias: Bool = false,
    rounding: WeightRounding = .nearest
  ) {
    self.scheme = scheme
    self.granularity = granularity
    self.activations = activations
    self.relu6 = relu6
    self.equalizes = equalizes
    self.correctsBias = correctsBias
    self.rounding = rounding
  }
}
