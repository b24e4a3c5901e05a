internal import Passes
internal import Quantization

/// What a conversion is asked to do.
public struct ConvertOptions: Sendable {
  /// Number format of the weights and linear operators.
  public enum Precision: String, Sendable, CaseIterable {
    case int8, fp16, fp32
    /// Weights of matrix products in ``ConvertOptions/bits`` bits, the others as in `fp16`; activations stay float.
    case weightOnly = "weight-only"

    /// What asks for it on the command line.
    var flags: String { self == .weightOnly ? "--int4 and --bits" : "--\(rawValue)" }
  }

  public var precision = Precision.fp32
  /// Bits of weights in ``Precision/weightOnly``, 2 to 8.
  public var bits = 4
  /// Weights that share a scale in ``Precision/weightOnly``, one of ``blockSizes``.
  public var block = ConvertOptions.blockSizes[0]
  /// Whether every output channel has a weight scale of its own.
  public var isPerChannel = true
  /// Data to observe activation ranges on; nil: activations are quantized while the network runs.
  ///
  /// The word ``synthetic`` stands for Gaussian noise.
  public var calibrationData: String?
  /// What happens when the calibration data are not like those of the training.
  public var preflight = PreflightMode.warn
  /// Whether activations are quantized while the network runs although there is ``calibrationData``, which then serves
  /// ``smooths`` and ``splitsOutliers`` only.
  public var isDynamic = false
  /// Statistics to choose activation ranges from, in place of ``calibrationData``.
  public var calibration: CalibrationStatistics?
  /// At most this many samples, spread evenly; nil: all.
  public var calibrationSamples: Int?
  /// One of ``observerNames``.
  public var observer = ConvertOptions.observerNames[0]
  /// Weight of the new sample in a moving average, above 0 and at most 1.
  public var alpha: Float = 0.05
  /// The share of the values that the percentile observer keeps, in percent: above 50, at most 100.
  public var percentile = 99.99
  /// One of ``relu6Names``.
  public var relu6 = "clamp"
  /// The family of networks that int8 is set up for.
  public var preset = Preset.auto
  /// Whether the ranges of channels are evened out between layers before calibration.
  public var equalizes = false
  /// Whether the means of outputs are moved back to where they were in float, layer after layer through those that are
  /// quantized already; needs ``calibrationData``.
  public var correctsBias = false
  /// Whether biases make up for what rounding the weights does to the means of outputs, by the means of channels in calibration;
  /// in networks other than transformers.
  public var correctsMeans = true
  /// One of ``weightScaleNames``.
  public var weightScales = ConvertOptions.weightScaleNames[0]
  /// One of ``roundingNames``; all but the first need ``calibrationData``.
  public var rounding = ConvertOptions.roundingNames[0]
  /// Whether ranges of channels move from activations to weights where that lowers the error on ``calibrationData``, or on noise
  /// where there is none; nil: the preset decides.
  public var smooths: Bool?
  /// The exponent of the activations' ranges, above 0 and below 1, for all layers; nil: searched for per layer.
  public var smoothingAlpha: Float?
  /// Whether the loudest columns of matrix products stay float where that lowers the error on ``calibrationData``, or on noise
  /// where there is none; nil: the preset decides.
  public var splitsOutliers: Bool?
  /// Whether leading tokens get fixed ranges of their own where that lowers the error on ``calibrationData``.
  public var splitsTokens = false
  /// Patterns of nodes, values and weights; what they match stays float.
  ///
  /// A pattern is an exact name, or has `*`, `?` and `[...]` as in file names.
  public var keptFloat: [String] = []
  /// Whether the sensitivity of each layer is measured on calibration samples.
  public var measuresSensitivity = false
  /// Points of accuracy that the quantized network may lose; nil: no bound.
  ///
  /// Layers fall back to float, with int8 weights and then with f16 ones, until it loses no more on samples that calibration did
  /// not see.
  public var maximumDrop: Double?
  /// Samples to measure on in place of those of ``calibrationData``.
  public var judgeData: String?
  /// Asked between samples once a file was written under ``maximumDrop``: whether to stop with the best one so far.
  public var isInterrupted: @Sendable () -> Bool = { false }
  /// The text form of a preprocessing, stored in the output; nil: what the input declares.
  public var preprocessing: String?
  /// Architecture of a bare checkpoint; nil: recognised.
  public var architecture: String?
  /// The size of images for a bare checkpoint, `N` or `HxW`; nil: the usual one.
  public var inputSize: String?
  /// Whether tensors are deflated.
  public var compress = false
  /// Whether weights that hold NaN or infinity are quantized all the same.
  public var allowsNonFinite = false
  public var disabledPasses: [String] = []
  /// Name of a pass, or `all`: print the graph after it.
  public var printAfter: String?
  public var showsRemarks = false
  /// Threads; nil: all processors.
  public var threads: Int?

  public init() {}

  /// What ``calibrationData`` is for calibration without data.
  public static let synthetic = "synthetic"

  /// Sizes of blocks, the standard one first.
  public static let blockSizes = [32, 64, 128]

  /// Names of the observers, the standard one first.
  public static let observerNames = ObserverKind.allCases.map(\.rawValue)

  /// Names of the ways weights become integers, the standard one first.
  public static let roundingNames = WeightRounding.allCases.map(\.rawValue)

  /// Names of the ways scales of weights are chosen, the standard one first.
  public static let weightScaleNames = WeightScales.allCases.map(\.rawValue)

  /// Names of the ReLU6 policies.
  public static let relu6Names = Relu6Policy.allCases.map(\.rawValue)

  var activations: ActivationMode {
    isDynamic || calibrationData == nil && calibration == nil ? .dynamic : .static
  }

  /// The observer with what sets it, such as `moving-average alpha 0.05`.
  var observerText: String {
    switch ObserverKind(rawValue: observer) {
    case .movingAverage: "\(observer) alpha \(alpha)"
    case .percentile: "\(observer) \(percentile)"
    case .minMax, .histogramMSE, .entropy, nil: observer
    }
  }

  /// The passes' view of the options.
  var passOptions: PassOptions {
    var result = PassOptions(
      scheme: ConvertScheme(rawValue: precision.rawValue) ?? .fp32,
      granularity: isPerChannel ? .perChannel : .perTensor,
      activations: activations,
      relu6: Relu6Policy(rawValue: relu6) ?? .clamp,
      equalizes: equalizes,
      correctsBias: correctsBias,
      rounding: WeightRounding(rawValue: rounding) ?? .nearest
    )
    (result.bits, result.block) = (bits, block)
    result.weightScales = WeightScales(rawValue: weightScales) ?? .minMax
    return result
  }

  /// Whether layers are measured.
  var tunes: Bool { measuresSensitivity || maximumDrop != nil }

  /// Whether layers are mended from calibration data.
  var recovers: Bool { correctsBias || rounding != ConvertOptions.roundingNames[0] }

  /// Whether activations are smoothed in a network of a family.
  func smooths(_ preset: Preset) -> Bool { smooths ?? (smoothingAlpha != nil || isShaped(preset)) }

  /// Whether outlier columns stay float in a network of a family.
  func splitsOutliers(_ preset: Preset) -> Bool { splitsOutliers ?? isShaped(preset) }

  /// Whether smoothing or outlier columns are asked for, not only chosen by the preset.
  var asksForShaping: Bool {
    smooths == true || splitsOutliers == true || splitsTokens || smoothingAlpha != nil
  }

  /// Whether the preset fits the float network to quantization: in transformers, unless statistics of the network as it is were given.
  private func isShaped(_ preset: Preset) -> Bool {
    precision == .int8 && preset == .transformer && calibration == nil
  }

  /// For metadata and reports, such as `int8 per-channel static` or `int8 per-tensor static, equalized`.
  ///
  /// - Parameter preset: The family that the network belongs to.
  func schemeText(_ preset: Preset) -> String {
    if precision == .weightOnly {
      return "int\(bits) weight-only, blocks of \(block)" + (recovers ? ", \(rounding) rounding" : "")
    }
    guard precision == .int8 else { return precision.rawValue }
    let rows = activations == .dynamic && preset == .transformer ? " per-token" : ""
    var text = "int8 \(isPerChannel ? "per-channel" : "per-tensor") \(activations.rawValue)\(rows)"
    if weightScales != ConvertOptions.weightScaleNames[0] { text += ", \(weightScales) weight scales" }
    if equalizes { text += ", equalized" }
    if smooths(preset) { text += ", smoothed" + (smoothingAlpha.map { " by \($0)" } ?? "") }
    if splitsOutliers(preset) { text += ", outlier columns in float" }
    if splitsTokens { text += ", token groups" }
    if rounding != ConvertOptions.roundingNames[0] { text += ", \(rounding) rounding" }
    if correctsBias { text += ", bias-corrected" }
    return text
  }
}
