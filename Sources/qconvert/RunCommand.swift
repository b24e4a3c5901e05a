import ArgumentParser
import QConvertKit

/// The subcommand that runs a network on arrays.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Run a network on arrays from a file."
  )

  @Argument(help: "An .onnx model, a .safetensors checkpoint, or a .qmodel.")
  var model: String

  @Option(
    help: ArgumentHelp(
      "Arrays named like the network's inputs: .npz, .safetensors, or .npy for one input.",
      valueName: "file"
    )
  )
  var inputs: String

  @Option(help: ArgumentHelp("Where the outputs go, as .npz.", valueName: "file"))
  var outputs: String

  @Option(
    help: ArgumentHelp("Architecture of a bare checkpoint, if it is not recognised.", valueName: "name")
  )
  var arch: String?

  @Option(help: ArgumentHelp("Threads; all processors unless given.", valueName: "n"))
  var threads: Int?

  @Flag(help: "Use the reference executor, which is slow and simple.")
  var reference = false

  func validate() throws {
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads takes 1 to 1024") }
  }

  mutating func run() throws {
    try QConvert.run(
      model,
      inputs: inputs,
      outputs: outputs,
      architecture: arch,
      threads: threads,
      usesReference: reference
    )
  }
}
