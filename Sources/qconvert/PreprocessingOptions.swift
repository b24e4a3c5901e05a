import ArgumentParser
import QConvertKit

/// How images become inputs, declared on the command line.
struct PreprocessingOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Named preprocessing: imagenet (resize 256, crop 224, /255, mean, std).",
      valueName: "preset"
    )
  )
  var preprocess: String?

  @Option(
    help: ArgumentHelp(
      "Resize the shorter side to N, or to HxW, bilinear with antialiasing.",
      valueName: "pixels"
    )
  )
  var resize: String?

  @Option(help: ArgumentHelp("Crop the centre to NxN, or to HxW.", valueName: "pixels"))
  var crop: String?

  @Option(help: ArgumentHelp("Divide pixels (0-255) by this first; 1 unless given.", valueName: "number"))
  var scale: Float?

  @Option(help: ArgumentHelp("Subtract, after scaling: one number or one per channel.", valueName: "r,g,b"))
  var mean: String?

  @Option(help: ArgumentHelp("Divide, after the mean: one number or one per channel.", valueName: "r,g,b"))
  var std: String?

  @Option(help: ArgumentHelp("Channel order of the network: rgb or bgr.", valueName: "order"))
  var channels: String?

  /// The declaration as the text form of a preprocessing; nil if no option was given.
  var text: String? {
    let parts: [(String, String?)] = [
      ("resize", resize), ("crop", crop),
      ("scale", scale.map { "\($0)" }), ("mean", mean), ("std", std), ("channels", channels),
    ]
    let given = parts.compactMap { name, value in value.map { "\(name)=\($0)" } }
    let words = (preprocess.map { [$0] } ?? []) + given
    return words.isEmpty ? nil : words.joined(separator: " ")
  }
}
