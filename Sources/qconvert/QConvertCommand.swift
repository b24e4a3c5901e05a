import ArgumentParser
import QConvertKit

/// `qconvert IN OUT` and its subcommands: flags in, text or JSON out.
@main
struct QConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "qconvert",
    abstract: "Makes trained networks small and fast on a CPU, and shows that they still work.",
    usage: """
      qconvert IN OUT [--int8|--int4|--fp16|--fp32] [--per-channel|--per-tensor] [--calibrate DATA]
      qconvert calibrate MODEL --data DATA -o STATS.json
      qconvert inspect FILE
      qconvert verify REFERENCE CANDIDATE [--data DATA]
      qconvert run MODEL --inputs IN.npz --outputs OUT.npz
      qconvert bench MODEL... [--batch 1,8] [--threads 1,2] [--profile] [--plot OUT.svg]
      """,
    discussion: """
      IN is an .onnx model, a .safetensors checkpoint of a known architecture, or a \
      .qmodel. OUT is a .qmodel, an .onnx (quantized: QDQ), or a .safetensors with \
      the graph inside.

      Examples:
        qconvert net.onnx net.qmodel --int8 --per-channel
            Weights become int8 with a scale per output channel; activations are
            quantized while the network runs. Needs no data.
        qconvert net.onnx net.qmodel --int8 --calibrate photos/ --preprocess imagenet
            Activations get fixed ranges, observed on the images in photos/.
        qconvert inspect net.qmodel
            Where every byte went, and which operators are int8.
        qconvert verify net.onnx net.qmodel --data val/
            Runs both on the labelled images in val/ and compares accuracy.
        qconvert bench net32.qmodel net8.qmodel --batch 1,2,4,8
            Times both by turns.

      Results go to standard output, progress and warnings to standard error.

      Exit codes: 0 done, 1 refused or below a threshold, 64 wrong usage.
      """,
    version: QConvert.version,
    subcommands: [
      ConvertCommand.self, CalibrateCommand.self, InspectCommand.self, VerifyCommand.self, RunCommand.self,
      BenchCommand.self,
    ],
    defaultSubcommand: ConvertCommand.self
  )

  static func main() {
    QConvert.prepareProcess()
    if CommandLine.arguments.contains("--list-passes") {
      Output.result(Converter.passList)
      return
    }
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      exit(withError: error)
    }
  }
}
