import ArgumentParser
import QConvertKit

/// Flags about changes to the float network that make quantizing it cost less.
struct RecoveryFlags: ParsableArguments {
  @Flag(
    inversion: .prefixedNo,
    help: ArgumentHelp(
      "Move ranges of channels from activations to weights where the samples of --calibrate, or noise, show a gain; the "
        + "default for transformers."
    )
  )
  var smooth: Bool?

  @Option(
    help: ArgumentHelp(
      "Exponent of the activations' ranges in --smooth, for all layers; searched for per layer by default.",
      valueName: "0...1"
    )
  )
  var smoothAlpha: Float?

  @Flag(
    inversion: .prefixedNo,
    help: ArgumentHelp(
      "Keep the loudest columns of matrix products, at most 1 %, in float where the samples of --calibrate, or noise, show "
        + "a gain; the default for transformers."
    )
  )
  var outlierColumns: Bool?

  @Flag(
    help:
      "Give leading tokens, such as registers, fixed ranges of their own where the samples of --calibrate show a gain."
  )
  var tokenGroups = false

  /// Whether a flag was given that samples are of use for.
  var usesSamples: Bool { smooth == true || outlierColumns == true || smoothAlpha != nil }

  func validate(isInt8: Bool, isStatic: Bool) throws {
    if tokenGroups && !(isInt8 && isStatic) {
      throw ValidationError("--token-groups goes with --int8 and --calibrate, without --dynamic")
    }
    if usesSamples && !isInt8 {
      throw ValidationError("--smooth, --smooth-alpha and --outlier-columns go with --int8")
    }
    if let smoothAlpha, !(smoothAlpha > 0 && smoothAlpha < 1) {
      throw ValidationError("--smooth-alpha takes a number above 0, below 1")
    }
    if smooth == false && smoothAlpha != nil {
      throw ValidationError("--no-smooth and --smooth-alpha exclude each other")
    }
  }

  func apply(to options: inout ConvertOptions) {
    options.smooths = smooth
    options.smoothingAlpha = smoothAlpha
    options.splitsOutliers = outlierColumns
    options.splitsTokens = tokenGroups
  }
}
