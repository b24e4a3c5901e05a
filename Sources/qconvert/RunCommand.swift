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

  @OptionGroup var execution: ExecutionOptions

  @Flag(help: "Use the reference executor, which is slow and simple.")
  var reference = false

  mutating func run() throws {
    try QConvert.run(
      model,
      inputs: inputs,
      outputs: outputs,
      architecture: execution.checkpoint.arch,
      inputSize: execution.checkpoint.inputSize,
      threads: execution.threads,
      usesReference: reference
    )
  }
}
