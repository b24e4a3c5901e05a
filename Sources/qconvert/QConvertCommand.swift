import ArgumentParser

@main
struct QConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "qconvert", abstract: "placeholder")
}
