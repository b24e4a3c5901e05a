import ArgumentParser
import QConvertKit

/// How a bare checkpoint is understood, for all commands that read one network.
struct CheckpointOptions: ParsableArguments {
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
}

/// How bare checkpoints are understood and how many threads work, for all commands that run networks.
struct ExecutionOptions: ParsableArguments {
  @OptionGroup var checkpoint: CheckpointOptions

  @Option(help: ArgumentHelp("Threads; all processors unless given.", valueName: "n"))
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads takes 1 to 1024") }
  }
}

/// What happens when samples are not like those of the training, for all commands that read samples.
struct PreflightOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Compare the samples with what the network was trained on: warn, strict (refuse what is certainly wrong), off.",
      valueName: "mode"
    )
  )
  var preflight: String = PreflightMode.warn.rawValue

  var mode: PreflightMode { PreflightMode(rawValue: preflight) ?? .warn }

  func validate() throws {
    if PreflightMode(rawValue: preflight) == nil {
      throw ValidationError(
        "--preflight takes \(PreflightMode.allCases.map(\.rawValue).joined(separator: ", "))"
      )
    }
  }
}
