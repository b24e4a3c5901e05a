import ArgumentParser
import QConvertKit

/// The subcommand that observes activations for later conversions.
struct CalibrateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "calibrate",
    abstract:
      "Observe the activations of a network on samples, whole or in shards, for convert --calibration.",
    discussion: """
      The statistics serve any observer. Shards may run on different machines, in any order; merged, they give the same
      bytes as one run:
        qconvert calibrate net.onnx --data photos/ --shard 1/2 -o 1.json
        qconvert calibrate net.onnx --data photos/ --shard 2/2 -o 2.json
        qconvert calibrate --merge 1.json 2.json -o all.json
        qconvert net.onnx net.qmodel --int8 --calibration all.json
      """
  )

  @Argument(help: "An .onnx model or a .safetensors checkpoint; with --merge, statistics files.")
  var inputs: [String]

  @Option(
    help: ArgumentHelp("A folder of images, .npz, .npy, .safetensors, or synthetic.", valueName: "data")
  )
  var data: String?

  @Option(name: .shortAndLong, help: ArgumentHelp("The JSON file to write.", valueName: "stats.json"))
  var output: String

  @Flag(help: "Merge statistics of shards instead of making them.")
  var merge = false

  @Option(help: ArgumentHelp("Observe only every n-th sample, from the i-th on.", valueName: "i/n"))
  var shard: String?

  @Option(
    help: ArgumentHelp("Use at most this many samples, spread evenly, before sharding.", valueName: "n")
  )
  var samples: Int?

  @OptionGroup(title: "Preprocessing of images")
  var preprocessing: PreprocessingOptions

  @OptionGroup var preflight: PreflightOptions

  @OptionGroup(title: "What shapes the network before calibration; as in the conversion")
  var shaping: ShapingFlags

  @Option(
    name: .customLong("disable-pass"),
    help: ArgumentHelp("Leave a pass out; may be repeated.", valueName: "pass")
  )
  var disabledPasses: [String] = []

  @OptionGroup var execution: ExecutionOptions

  func validate() throws {
    if let samples, samples < 1 { throw ValidationError("--samples takes 1 or more") }
    if let shard, CalibrationShard(shard) == nil {
      throw ValidationError("--shard takes i/n with 1 <= i <= n")
    }
    if merge {
      if data != nil || shard != nil { throw ValidationError("--merge takes statistics files only") }
    } else {
      if inputs.count != 1 { throw ValidationError("calibrate takes one model") }
      if data == nil { throw ValidationError("calibrate needs --data") }
    }
  }

  mutating func run() throws {
    let statistics = try merge ? merged() : observed()
    try StatisticsFile.write(statistics, to: output)
    Output.result("\(output): \(statistics.samples.count) samples, \(statistics.data)")
  }

  private func merged() throws -> CalibrationStatistics {
    var result = try StatisticsFile.read(inputs[0])
    for path in inputs.dropFirst() { try result.merge(StatisticsFile.read(path)) }
    return result
  }

  private func observed() throws -> CalibrationStatistics {
    var options = ConvertOptions()
    options.precision = .int8
    options.calibrationData = data
    options.calibrationSamples = samples
    options.preprocessing = preprocessing.text
    options.preflight = preflight.mode
    options.architecture = execution.checkpoint.arch
    options.inputSize = execution.checkpoint.inputSize
    options.disabledPasses = disabledPasses
    options.threads = execution.threads
    shaping.apply(to: &options)
    let bar = ProgressBar("calibrating")
    let statistics = try Converter.calibrate(
      inputs[0],
      options: options,
      shard: shard.flatMap(CalibrationShard.init)
    ) { event in
      switch event {
      case .calibrated(let done, let total): bar.update(done, of: total)
      case .text(let text): Output.error(text)
      case .mended, .measured, .saved, .judged: break
      }
    }
    bar.finish()
    return statistics
  }
}

/// Flags about passes that change the float network before it is observed.
struct ShapingFlags: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "ReLU6: clamp (exact), swap (plain ReLU, reports what exceeded 6), keep.",
      valueName: "policy"
    )
  )
  var relu6: String = "clamp"

  @Flag(help: "Even out the ranges of channels between layers before calibration, for --per-tensor.")
  var equalize = false

  func validate() throws {
    if !ConvertOptions.relu6Names.contains(relu6) {
      throw ValidationError("--relu6 takes \(ConvertOptions.relu6Names.joined(separator: ", "))")
    }
  }

  func apply(to options: inout ConvertOptions) {
    options.relu6 = relu6
    options.equalizes = equalize
  }
}
