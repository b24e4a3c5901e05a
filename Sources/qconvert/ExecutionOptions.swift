import ArgumentParser

/// How bare checkpoints are understood and how many threads work, for all commands that run networks.
struct ExecutionOptions: ParsableArguments {
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

  @Option(help: ArgumentHelp("Threads; all processors unless given.", valueName: "n"))
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads takes 1 to 1024") }
  }
}
