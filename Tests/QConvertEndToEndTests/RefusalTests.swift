import TestSupport
import Testing

/// A call that must be refused, run in a folder made by `prepare`.
struct Refused: CustomTestStringConvertible, Sendable {
  let testDescription: String
  let arguments: [String]
  /// What the line on standard error must hold: place, rule, remedy.
  let expected: [String]

  init(_ description: String, _ arguments: [String], _ expected: String...) {
    testDescription = description
    self.arguments = arguments
    self.expected = expected
  }

  static let files = [
    Refused("a missing input", ["no.onnx", "x.qmodel"], "no.onnx: ", "[IO1]", "check the path"),
    Refused("a folder as the input", ["empty", "x.qmodel"], "empty: ", "[IO1]"),
    Refused("a truncated .onnx", ["cut.onnx", "x.qmodel"], "cut.onnx: byte ", "[O2]", "export"),
    Refused(
      "a truncated .safetensors",
      ["cut.safetensors", "x.qmodel"],
      "cut.safetensors: file byte 0",
      "[S1]"
    ),
    Refused(
      "a truncated .qmodel",
      ["cut.qmodel", "x.qmodel"],
      "cut.qmodel: header",
      "[Q2]",
      "convert it again"
    ),
    Refused("a truncated .qmodel, inspected", ["inspect", "cut.qmodel"], "cut.qmodel: header", "[Q2]"),
    Refused("a flipped bit in a .qmodel", ["inspect", "flipped.qmodel"], "flipped.qmodel: ", "[Q"),
    Refused("text instead of a model", ["text.onnx", "x.qmodel"], "text.onnx: ", "["),
    Refused(
      "an output without a format",
      [Tool.model, "x.tflite"],
      "x.tflite: output",
      "[C2]",
      ".qmodel, .onnx or"
    ),
    Refused("an output in no folder", [Tool.model, "no/x.qmodel"], "no/x.qmodel: output", "[IO2]"),
    Refused(
      "a compressed .safetensors",
      [Tool.model, "x.safetensors", "--compress"],
      "x.safetensors: output",
      "[C3]"
    ),
    Refused(
      "a checkpoint of an unknown architecture",
      ["\(Tool.digits)/digits.safetensors", "x.qmodel", "--arch", "lenet"],
      "digits.safetensors: architecture \"lenet\"",
      "[S17]",
      "resnet18"
    ),
    Refused(
      "a checkpoint of another architecture",
      ["\(Tool.digits)/digits.safetensors", "x.qmodel", "--arch", "resnet18"],
      "digits.safetensors: checkpoint",
      "[S17]",
      "missing"
    ),
    Refused(
      "an architecture for a model with a graph",
      [Tool.model, "x.qmodel", "--arch", "resnet18"],
      "digits.onnx: architecture",
      "[C4]",
      "--arch"
    ),
    Refused(
      "a quantized input",
      ["int8.qmodel", "x.qmodel", "--int8"],
      "int8.qmodel: node ",
      "[C1]",
      "float original"
    ),
  ]

  static let passes = [
    Refused(
      "an unknown pass",
      [Tool.model, "x.qmodel", "--disable-pass", "nosuch"],
      "[P1]",
      "--list-passes"
    ),
    Refused(
      "an unknown pass to print after",
      [Tool.model, "x.qmodel", "--print-ir-after", "nosuch"],
      "[P1]",
      "--list-passes"
    ),
  ]

  static let data = [
    Refused(
      "images without preprocessing",
      [Tool.model, "x.qmodel", "--int8", "--calibrate", "\(Tool.digits)/calibration"],
      "calibration: folder",
      "[D1]",
      "--preprocess"
    ),
    Refused(
      "images of a wrong size",
      [Tool.model, "x.qmodel", "--int8", "--calibrate", "\(Tool.digits)/calibration", "--resize", "40"],
      ".png: image",
      "[D4]",
      "--resize 32x32"
    ),
    Refused(
      "a preprocessing that is none",
      [Tool.model, "x.qmodel", "--resize", "wide"],
      "preprocessing",
      "[D1]",
      "resize=256"
    ),
    Refused(
      "data that do not exist",
      [Tool.model, "x.qmodel", "--int8", "--calibrate", "nowhere"] + Tool.preprocessing,
      "nowhere: data",
      "[D9]"
    ),
    Refused(
      "a folder without images",
      [Tool.model, "x.qmodel", "--int8", "--calibrate", "empty"] + Tool.preprocessing,
      "empty: folder",
      "[D7]"
    ),
    Refused(
      "inputs that do not exist",
      ["run", Tool.model, "--inputs", "no.npz", "--outputs", "x.npz"],
      "no.npz: file",
      "[IO1]"
    ),
    Refused(
      "outputs that are no archive",
      ["run", Tool.model, "--inputs", "x.npz", "--outputs", "x.npy"],
      "x.npy: output",
      "[C2]"
    ),
    Refused(
      "inputs that are no archive",
      ["run", Tool.model, "--inputs", "text.onnx", "--outputs", "x.npz"],
      "text.onnx: archive",
      "[D6]"
    ),
    Refused(
      "images of a wrong size, verified",
      ["verify", Tool.model, "int8.qmodel", "--data", "\(Tool.digits)/test", "--resize", "40"],
      ".png: image",
      "[D4]"
    ),
    Refused(
      "networks that do not correspond",
      ["verify", Tool.model, "cut.qmodel", "--data", "\(Tool.digits)/test"],
      "cut.qmodel: header",
      "[Q2]"
    ),
  ]
}

@Suite struct RefusalTests {
  @Test("is refused in one line and leaves nothing", arguments: Refused.files + Refused.passes + Refused.data)
  func refused(_ call: Refused) throws {
    try withTemporaryFolder { folder in
      try prepare(folder)
      let before = entries(folder)
      let outcome = try Tool.run(call.arguments, in: folder)
      #expect(outcome.status == 1)
      #expect(outcome.output == "")
      #expect(outcome.errors.hasSuffix("\n"))
      #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
      for text in call.expected {
        #expect(outcome.errors.contains(text), "no \"\(text)\" in \(outcome.errors)")
      }
      #expect(outcome.errors.contains("; "), "no remedy in \(outcome.errors)")
      #expect(entries(folder) == before)
    }
  }

  @Test(
    "wrong usage is exit code 64 with nothing on standard output",
    arguments: [
      [], ["inspect"], ["verify", "a"], ["run", "a"], ["bench"], [Tool.model],
      [Tool.model, "x.qmodel", "--bits", "1"], [Tool.model, "x.qmodel", "--bits", "9"],
      [Tool.model, "x.qmodel", "--int8", "--bits", "4"], [Tool.model, "x.qmodel", "--int4", "--bits", "3"],
      [Tool.model, "x.qmodel", "--int4", "--block", "16"],
      [Tool.model, "x.qmodel", "--int8", "--block", "32"],
      [Tool.model, "x.qmodel", "--int4", "--int8"], [Tool.model, "x.qmodel", "--int4", "--per-tensor"],
      [Tool.model, "x.qmodel", "--int8", "--fp16"],
      [Tool.model, "x.qmodel", "--int8", "--observer", "entropy"],
      [Tool.model, "x.qmodel", "--int8", "--observer", "min-max"],
      [Tool.model, "x.qmodel", "--int8", "--samples", "5"],
      [Tool.model, "x.qmodel", "--int8", "--relu6", "drop"],
      [Tool.model, "x.qmodel", "--per-tensor"],
      [Tool.model, "x.qmodel", "--fp16", "--calibrate", "data"],
      [Tool.model, "x.qmodel", "--int8", "--dynamic", "--calibrate", "data"],
      [Tool.model, "x.qmodel", "--fp16", "--smooth"],
      [Tool.model, "x.qmodel", "--int8", "--token-groups"],
      [Tool.model, "x.qmodel", "--int4", "--outlier-columns"],
      [Tool.model, "x.qmodel", "--int4", "--calibrate", "data"],
      [Tool.model, "x.qmodel", "--int4", "--rounding", "gptq"],
      [Tool.model, "x.qmodel", "--int4", "--calibrate", "data", "--rounding", "adaround"],
      [Tool.model, "x.qmodel", "--int8", "--calibrate", "data", "--smooth-alpha", "1"],
      [Tool.model, "x.qmodel", "--int8", "--calibrate", "data", "--no-smooth", "--smooth-alpha", "0.5"],
      [Tool.model, "x.qmodel", "--threads", "0"],
      [Tool.model, "x.qmodel", "--int8", "--alpha", "2"],
      ["verify", Tool.model, Tool.model, "--samples", "0"],
      ["verify", Tool.model, Tool.model, "--max-drop=-1"],
      ["verify", Tool.model, Tool.model, "--min-top1-agreement", "98"],
    ]
  )
  func usage(_ arguments: [String]) throws {
    try withTemporaryFolder { folder in
      let outcome = try Tool.run(arguments, in: folder)
      #expect(outcome.status == 64)
      #expect(outcome.output == "")
      #expect(outcome.errors.hasPrefix("Error: "))
      #expect(outcome.errors.contains("Usage: "))
      #expect(entries(folder) == [])
    }
  }

  @Test(
    "help and version are results",
    arguments: [
      ["--help"], ["--version"], ["help", "convert"], ["inspect", "--help"], ["verify", "--help"],
      ["run", "--help"], ["bench", "--help"], ["--list-passes"],
    ]
  )
  func help(_ arguments: [String]) throws {
    try withTemporaryFolder { folder in
      let outcome = try Tool.succeed(arguments, in: folder)
      #expect(outcome.errors == "")
      #expect(!outcome.output.isEmpty)
      let lines = outcome.output.split(separator: "\n").filter { !$0.hasPrefix("USAGE: ") }
      #expect(lines.filter { $0.count > 120 } == [])
    }
  }

  /// Files that are wrong in one way each.
  private func prepare(_ folder: String) throws {
    try Tool.succeed([Tool.model, "int8.qmodel", "--int8"], in: folder)
    var bytes = try readFile("\(folder)/int8.qmodel")
    try write(Array(bytes.prefix(1000)), to: "\(folder)/cut.qmodel")
    bytes[bytes.count / 2] ^= 4
    try write(bytes, to: "\(folder)/flipped.qmodel")
    try write(Array(try readFile(Tool.model).prefix(1000)), to: "\(folder)/cut.onnx")
    let checkpoint = try readFile("\(Tool.digits)/digits.safetensors")
    try write(Array(checkpoint.prefix(1000)), to: "\(folder)/cut.safetensors")
    try write(Array("This is no model.\n".utf8), to: "\(folder)/text.onnx")
    try makeFolder("\(folder)/empty")
  }
}
