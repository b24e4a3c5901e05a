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

  @Option(
    help: ArgumentHelp("Architecture of a bare checkpoint, if it is not recognised.", valueName: "name")
  )
  var arch: String?

  @Option(
    help: ArgumentHelp(
      "Size of the images for a bare vision transformer; positions are resampled to it.",
      valueName: "n|hxw"
    )
  )
  var inputSize: String?

  @Flag(help: "Print one JSON object instead of text.")
  var json = false

  mutating func run() throws {
    let report = try QConvert.inspect(file, architecture: arch, inputSize: inputSize)
    if json { try Output.json(report) } else { Output.result(report.text) }
  }
}
