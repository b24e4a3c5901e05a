import ArgumentParser
import QConvertKit

/// The subcommand that looks into a file.
struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show sizes on disk and in memory to the byte, number formats, and what was done to a network."
  )

  @Argument(help: "A .qmodel, .onnx or .safetensors file.")
  var file: String

  @OptionGroup var checkpoint: CheckpointOptions

  @Flag(help: "Print one JSON object instead of text.")
  var json = false

  mutating func run() throws {
    let report = try QConvert.inspect(file, architecture: checkpoint.arch, inputSize: checkpoint.inputSize)
    if json { try Output.json(report) } else { Output.result(report.text) }
  }
}
