import ArgumentParser
import QConvertKit

/// The subcommand that `qconvert IN OUT` means.
struct ConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Convert a network: fold, fuse, quantize, write. The default subcommand.",
    usage: """
      qconvert [convert] IN OUT [<options>]
      qconvert --list-passes
      """,
    discussion: """
      BatchNorm is folded, activations are fused, exporters' leftovers vanish; then weights and \
      activations are quantized. The written file is read back before it replaces OUT. The same input and \
      flags give the same bytes.

      --max-drop lets layers fall back to float, with int8 weights where those will do and f16 weights otherwise, until the \
      network loses no more than so many points on samples that calibration did not see. Exit code 1 when that cannot be reached or on Ctrl-C; the best \
      network so far is then in OUT.

      Without --int8, --int4, --bits or --fp16 nothing is quantized. --int8 alone quantizes activations while the network \
      runs; with --calibrate they get fixed ranges.
      """
  )

  @Argument(help: ArgumentHelp("An .onnx model, a .safetensors checkpoint, or a .qmodel.", valueName: "in"))
  var input: String?

  @Argument(help: ArgumentHelp("What to write: .qmodel, .onnx or .safetensors.", valueName: "out"))
  var output: String?

  @OptionGroup(title: "Quantization")
  var quantization: QuantizationFlags

  @OptionGroup(title: "Layers in float, and budgets of accuracy")
  var tuning: TuningFlags

  @OptionGroup(title: "Preprocessing of calibration images; stored in OUT")
  var preprocessing: PreprocessingOptions

  @OptionGroup var preflight: PreflightOptions

  @OptionGroup(title: "Passes")
  var passes: PassFlags

  @OptionGroup var execution: ExecutionOptions

  @Flag(help: "Deflate the tensors: smaller on disk, but not mappable.")
  var compress = false

  @Flag(help: "Print one JSON object instead of text.")
  var json = false

  func validate() throws {
    if passes.listPasses { throw CleanExit.message(Converter.passList) }
    if input == nil || output == nil {
      throw ValidationError("IN and OUT are needed, as in: qconvert net.onnx net.qmodel --int8")
    }
    try tuning.check(quantization)
  }

  mutating func run() throws {
    guard let input, let output else { return }
    var options = ConvertOptions()
    try quantization.apply(to: &options)
    tuning.apply(to: &options)
    passes.apply(to: &options)
    options.preprocessing = preprocessing.text
    options.preflight = preflight.mode
    options.architecture = execution.checkpoint.arch
    options.inputSize = execution.checkpoint.inputSize
    options.compress = compress
    options.threads = execution.threads
    let bar = ProgressBar("calibrating")
    let layers = ProgressBar("mending layers")
    let measuring = ProgressBar("measuring layers")
    let report = try Converter.convert(input, to: output, options: options) { event in
      switch event {
      case .calibrated(let done, let total): bar.update(done, of: total)
      case .mended(let done, let total): layers.update(done, of: total)
      case .measured(let done, let total): measuring.update(done, of: total)
      case .saved: QConvert.catchInterrupts()
      case .judged(let point):
        measuring.finish()
        Output.error(point.text)
      case .text(let text): Output.error(text)
      }
    }
    bar.finish()
    layers.finish()
    measuring.finish()
    try tuning.write(report.sensitivity)
    for warning in report.warnings { Output.error("warning: \(warning)") }
    for hint in report.hints { Output.error("hint: \(hint)") }
    if json { try Output.json(report) } else { Output.result(report.text) }
    if let budget = report.budget, budget.isInterrupted || !budget.holds {
      Output.error("\(output): \(budget.verdict)")
      throw ExitCode(1)
    }
  }
}

/// Flags about number formats and calibration.
struct QuantizationFlags: ParsableArguments {
  enum PrecisionFlag: String, EnumerableFlag {
    case int8, int4, fp16, fp32

    static func help(for value: Self) -> ArgumentHelp? {
      switch value {
      case .int8: "Weights and activations of linear operators in 8 bits."
      case .int4: "Weights of matrix products in 4 bits, by blocks; the others in half precision."
      case .fp16: "Weights in half precision, checked for overflow."
      case .fp32: "No quantization: fold, fuse and repack only. The default."
      }
    }
  }

  enum GranularityFlag: String, EnumerableFlag {
    case perChannel, perTensor

    static func help(for value: Self) -> ArgumentHelp? {
      switch value {
      case .perChannel: "One weight scale per output channel. The default."
      case .perTensor: "One weight scale per tensor."
      }
    }
  }

  @Flag var precision: PrecisionFlag?
  @Option(help: ArgumentHelp("As --int4, with 2 to 8 bits.", valueName: "n"))
  var bits: Int?
  @Option(
    help: ArgumentHelp(
      "Weights that share a scale under --int4 or --bits: 32 (the default), 64 or 128.",
      valueName: "n"
    )
  )
  var block: Int?
  @Flag var granularity: GranularityFlag?

  @Option(
    help: ArgumentHelp(
      "Observe activation ranges on DATA: a folder of images, .npz, .npy, .safetensors, or synthetic (noise).",
      valueName: "data"
    )
  )
  var calibrate: String?

  @Option(
    help: ArgumentHelp(
      "Choose activation ranges from statistics that qconvert calibrate wrote.",
      valueName: "stats.json"
    )
  )
  var calibration: String?

  @Option(help: ArgumentHelp("Calibrate on at most this many samples, spread evenly.", valueName: "n"))
  var samples: Int?

  @Flag(help: "Quantize activations with the range of each input, while running. The default without data.")
  var dynamic = false

  @Option(
    help: ArgumentHelp(
      "How ranges are observed: \(ConvertOptions.observerNames.joined(separator: ", ")). The first by default.",
      valueName: "name"
    )
  )
  var observer: String?

  @Option(
    help: ArgumentHelp(
      "Weight of the new sample in a moving average; \(ConvertOptions().alpha) by default.",
      valueName: "0...1"
    )
  )
  var alpha: Float?

  @Option(
    help: ArgumentHelp("Share of the values that the percentile observer keeps.", valueName: "50...100")
  )
  var percentile: Double?

  @OptionGroup var shaping: ShapingFlags

  @OptionGroup var recovery: RecoveryFlags

  @Flag(
    inversion: .prefixedNo,
    help: ArgumentHelp(
      "Move the means of outputs back to where they were in float, layer after layer on the samples; needs --calibrate. By "
        + "default, what rounding weights does to them is made up for by the means of channels that calibration saw."
    )
  )
  var biasCorrection: Bool?

  @Option(
    help: ArgumentHelp(
      "How weights become integers: nearest, gptq (errors cancel on the samples), adaround (better, slower; int8 only); the "
        + "latter need --calibrate.",
      valueName: "way"
    )
  )
  var rounding: String = ConvertOptions.roundingNames.first ?? ""

  @Option(
    help: ArgumentHelp(
      "Scales of int8 weights: min-max (nothing is cut) or mse (least squared error of the weights).",
      valueName: "rule"
    )
  )
  var weightScales: String?

  @Flag(help: "The same as --rounding adaround.")
  var adaround = false

  @Option(
    help: ArgumentHelp(
      "Kind of network: cnn (one dynamic range per activation), transformer (one per token), auto (by the network).",
      valueName: "preset"
    )
  )
  var preset: String = Preset.auto.rawValue

  @Flag(name: .customLong("allow-nonfinite"), help: "Quantize although weights hold NaN or infinity.")
  var allowNonFinite = false

  /// Whether only weights are quantized.
  private var isWeightOnly: Bool { precision == .int4 || precision == nil && bits != nil }

  /// Whether weights in blocks are rounded by calibration data.
  private var compensatesBlocks: Bool {
    isWeightOnly && calibrate != nil && rounding == "gptq" && !adaround && biasCorrection != true
  }

  private func validateBlocks() throws {
    if let bits, !(2...8).contains(bits) { throw ValidationError("--bits takes 2 to 8") }
    if bits != nil && !isWeightOnly || precision == .int4 && bits ?? 4 != 4 {
      throw ValidationError(
        "--bits excludes --int8, --fp16 and --fp32, and other numbers than 4 exclude --int4"
      )
    }
    if let block, !ConvertOptions.blockSizes.contains(block) {
      throw ValidationError("--block takes 32, 64 or 128")
    }
    if block != nil && !isWeightOnly { throw ValidationError("--block goes with --int4 or --bits") }
  }

  func validate() throws {
    try validateBlocks()
    try recovery.validate(isInt8: precision == .int8, isStatic: calibrate != nil && !dynamic)
    if dynamic && calibrate != nil && !recovery.usesSamples {
      throw ValidationError(
        "--dynamic and --calibrate exclude each other, unless the samples are for --smooth or --outlier-columns"
      )
    }
    if calibration != nil && dynamic {
      throw ValidationError("--calibration and --dynamic exclude each other")
    }
    if !ConvertOptions.roundingNames.contains(rounding) {
      throw ValidationError("--rounding takes \(ConvertOptions.roundingNames.joined(separator: ", "))")
    }
    if let weightScales, !ConvertOptions.weightScaleNames.contains(weightScales) || precision != .int8 {
      throw ValidationError(
        "--weight-scales takes \(ConvertOptions.weightScaleNames.joined(separator: ", ")), and goes with --int8"
      )
    }
    let recovers = biasCorrection == true || adaround || rounding != ConvertOptions.roundingNames.first
    if recovers && !compensatesBlocks && (precision != .int8 || calibrate == nil) {
      throw ValidationError(
        "--bias-correction, --rounding and --adaround go with --int8 and --calibrate; --rounding gptq also with --int4 and "
          + "--bits"
      )
    }
    let isStatic = calibrate != nil || calibration != nil
    let usesData = isStatic && !compensatesBlocks
    if precision != .int8 && (dynamic || usesData || calibration != nil || granularity != nil) {
      throw ValidationError(
        "--dynamic, --calibrate, --calibration, --per-channel and --per-tensor go with --int8; --calibrate also with --int4 "
          + "and --rounding gptq"
      )
    }
    if calibrate == nil && samples != nil { throw ValidationError("--samples goes with --calibrate") }
    if !isStatic && (observer != nil || alpha != nil || percentile != nil) {
      throw ValidationError("--observer, --alpha and --percentile go with --calibrate or --calibration")
    }
    if let percentile, !(percentile > 50 && percentile <= 100) {
      throw ValidationError("--percentile takes a number above 50, at most 100")
    }
    if let samples, samples < 1 { throw ValidationError("--samples takes 1 or more") }
    if let alpha, !(alpha > 0 && alpha <= 1) {
      throw ValidationError("--alpha takes a number above 0, at most 1")
    }
    if let observer, !ConvertOptions.observerNames.contains(observer) {
      throw ValidationError("--observer takes \(ConvertOptions.observerNames.joined(separator: ", "))")
    }
    if Preset(rawValue: preset) == nil {
      throw ValidationError("--preset takes \(Preset.allCases.map(\.rawValue).joined(separator: ", "))")
    }
  }

  func apply(to options: inout ConvertOptions) throws {
    options.precision =
      switch precision {
      case .int8: .int8
      case .int4: .weightOnly
      case .fp16: .fp16
      case .fp32: .fp32
      case nil: bits == nil ? .fp32 : .weightOnly
      }
    if let bits { options.bits = bits }
    if let block { options.block = block }
    options.isPerChannel = granularity != .perTensor
    options.calibrationData = calibrate
    options.calibrationSamples = samples
    if let observer { options.observer = observer }
    if let alpha { options.alpha = alpha }
    if let percentile { options.percentile = percentile }
    if let weightScales { options.weightScales = weightScales }
    options.preset = Preset(rawValue: preset) ?? .auto
    options.correctsBias = biasCorrection == true
    options.correctsMeans = biasCorrection != false
    options.rounding = adaround ? "adaround" : rounding
    options.calibration = try calibration.map(StatisticsFile.read)
    shaping.apply(to: &options)
    recovery.apply(to: &options)
    options.isDynamic = dynamic
    options.allowsNonFinite = allowNonFinite
  }
}

/// Flags about the passes, for people who look inside.
struct PassFlags: ParsableArguments {
  @Option(help: ArgumentHelp("Print the graph after this pass, or after all.", valueName: "pass|all"))
  var printIrAfter: String?

  @Option(help: ArgumentHelp("Leave a pass out; may be repeated.", valueName: "pass"))
  var disablePass: [String] = []

  @Flag(help: "Say why passes left something as it was.")
  var remarks = false

  @Flag(help: "List the passes and exit; takes no files.")
  var listPasses = false

  func apply(to options: inout ConvertOptions) {
    options.printAfter = printIrAfter
    options.disabledPasses = disablePass
    options.showsRemarks = remarks
  }
}
