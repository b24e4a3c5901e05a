import ArgumentParser
import QConvertKit

/// The subcommand that times networks.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Time networks over batch sizes and thread counts, and show where the time goes.",
    discussion: """
      Several models are timed in alternating blocks, after a warm-up, so that their ratio is fair. Inputs are made \
      up from a seed; a run hands over inputs and takes outputs.

      A network runs as its file has it: compare an int8 .qmodel with a .qmodel made with --fp32, whose batch norms \
      are folded, rather than with the .onnx.

      The profile times each step alone; its GOP/s count two operations per multiply-add.
      """
  )

  @Argument(help: "Files: .onnx, .safetensors or .qmodel.")
  var models: [String]

  @Option(help: ArgumentHelp("Batch sizes; the model's own, or 1, unless given.", valueName: "n,n,..."))
  var batch: NumberList?

  @Option(help: ArgumentHelp("Thread counts; all processors unless given.", valueName: "n,n,..."))
  var threads: NumberList?

  @Option(help: ArgumentHelp("Timed runs of each; about a second's worth unless given.", valueName: "n"))
  var runs: Int?

  @Option(help: ArgumentHelp("Extent of a symbolic dimension other than the batch.", valueName: "name=n"))
  var dim: [NamedExtent] = []

  @Flag(help: "Show time, GOP/s, kernel and arithmetic of each step.")
  var profile = false

  @Option(help: ArgumentHelp("Draw latency against batch size.", valueName: "file.svg"))
  var plot: String?

  @Option(
    help: ArgumentHelp("Architecture of bare checkpoints, if they are not recognised.", valueName: "name")
  )
  var arch: String?

  @Option(
    help: ArgumentHelp(
      "Size of the images for bare vision transformers; positions are resampled to it.",
      valueName: "n|hxw"
    )
  )
  var inputSize: String?

  @Flag(help: "Print one JSON list instead of text.")
  var json = false

  func validate() throws {
    if let runs, runs < 1 { throw ValidationError("--runs takes 1 or more") }
    if threads?.numbers.contains(where: { $0 > 1024 }) == true {
      throw ValidationError("--threads takes 1 to 1024")
    }
  }

  mutating func run() throws {
    var options = BenchOptions(threads: threads?.numbers)
    options.batches = batch?.numbers
    options.runs = runs
    options.profile = profile
    options.plot = plot
    options.architecture = arch
    options.inputSize = inputSize
    for extent in dim { options.dims[extent.name] = extent.extent }
    let bar = ProgressBar("measuring")
    let report = try Bench.run(models: models, options: options) { bar.update($0, of: $1) }
    bar.finish()
    if json { try Output.json(report) } else { Output.result(report.text) }
  }
}

/// Numbers from 1 on, separated by commas.
struct NumberList: ExpressibleByArgument {
  let numbers: [Int]

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    numbers = parts.compactMap(\.self).filter { $0 >= 1 && $0 <= 1 << 20 }
    guard numbers.count == parts.count else { return nil }
  }
}

/// `NAME=N`.
struct NamedExtent: ExpressibleByArgument {
  let name: String
  let extent: Int

  init?(argument: String) {
    let parts = argument.split(separator: "=", maxSplits: 1)
    guard parts.count == 2, let extent = Int(parts[1]), extent >= 1 else { return nil }
    name = String(parts[0])
    self.extent = extent
  }
}
