import ArgumentParser
import QConvertKit

/// The subcommand that compares two networks.
struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Run two networks on the same data and compare accuracy, outputs and layers.",
    discussion: """
      DATA is a folder of images in class subfolders or with a labels.csv, or an .npz, .npy or .safetensors \
      file whose arrays are named like the inputs. Without DATA both run on seeded inputs made from the \
      declared preprocessing; that tells whether outputs agree, not whether they are right.

      Exit code 1 when a threshold is missed.
      """
  )

  @Argument(help: "The network to compare with.")
  var reference: String

  @Argument(help: "The network under test.")
  var candidate: String

  @Option(help: ArgumentHelp("Labelled or unlabelled samples.", valueName: "data"))
  var data: String?

  @Option(help: ArgumentHelp("Use at most this many samples, spread evenly.", valueName: "n"))
  var samples: Int?

  @Option(help: ArgumentHelp("Leave out the samples that converting with --samples n uses.", valueName: "n"))
  var holdOut: Int?

  @OptionGroup(title: "Preprocessing of images; the one stored in a model unless given")
  var preprocessing: PreprocessingOptions

  @OptionGroup var preflight: PreflightOptions

  @OptionGroup(title: "Thresholds")
  var thresholds: ThresholdOptions

  @Flag(help: "Compare the layers, too, and point out the first that falls below 20 dB.")
  var perLayer = false

  @OptionGroup var execution: ExecutionOptions

  @Flag(help: "Print one JSON object instead of text.")
  var json = false

  func validate() throws {
    if let samples, samples < 1 { throw ValidationError("--samples takes 1 or more") }
    if let holdOut, holdOut < 1 { throw ValidationError("--hold-out takes 1 or more") }
  }

  mutating func run() throws {
    var selection = QConvert.VerifyData()
    selection.path = data
    selection.samples = samples
    selection.holdOut = holdOut
    selection.preprocessing = preprocessing.text
    selection.preflight = preflight.mode
    var options = VerifyOptions()
    options.threads = execution.threads ?? QConvert.processors
    options.perLayer = perLayer
    thresholds.apply(to: &options)
    let bar = ProgressBar("verifying")
    let report = try QConvert.verify(
      reference,
      candidate,
      data: selection,
      options: options,
      architecture: execution.checkpoint.arch,
      inputSize: execution.checkpoint.inputSize
    ) { bar.update($0, of: $1) }
    bar.finish()
    for warning in report.preflight?.warnings ?? [] { Output.error("warning: \(warning)") }
    if json { try Output.json(report) } else { Output.result(report.text) }
    if !report.passed { throw ExitCode(1) }
  }
}

/// Bounds that turn a comparison into a verdict.
struct ThresholdOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Least share of samples with the same top-1 class, 0 to 1.", valueName: "share"))
  var minTop1Agreement: Double?

  @Option(help: ArgumentHelp("Largest loss of top-1 accuracy in points; needs labels.", valueName: "points"))
  var maxDrop: Double?

  @Option(help: ArgumentHelp("Least signal-to-noise ratio of the outputs.", valueName: "dB"))
  var minSqnr: Double?

  @Option(help: ArgumentHelp("Least mean cosine of the outputs.", valueName: "cosine"))
  var minCosine: Double?

  func validate() throws {
    if let minTop1Agreement, !(0...1).contains(minTop1Agreement) {
      throw ValidationError("--min-top1-agreement takes a share from 0 to 1, such as 0.98")
    }
    if let maxDrop, !(0...100).contains(maxDrop) {
      throw ValidationError("--max-drop takes points from 0 to 100, such as 1")
    }
    if let minSqnr, !minSqnr.isFinite { throw ValidationError("--min-sqnr takes a finite number") }
    if let minCosine, !(-1...1).contains(minCosine) {
      throw ValidationError("--min-cosine takes a number from -1 to 1")
    }
  }

  func apply(to options: inout VerifyOptions) {
    options.minimumTop1Agreement = minTop1Agreement
    options.maximumTop1Drop = maxDrop.map { $0 / 100 }
    options.minimumSQNR = minSqnr
    options.minimumCosine = minCosine
  }
}
