internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Runtime

/// The library's front door: load, convert, inspect, verify and run networks.
public enum QConvert {
  /// The version of the tool and the library.
  public static let version = "0.1.0"

  /// Runs a network on arrays from a file and writes its outputs to another.
  ///
  /// - Parameters:
  ///   - model: An `.onnx`, `.safetensors` or `.qmodel` file.
  ///   - inputs: An `.npz`, `.safetensors` or, for one input, `.npy` file with arrays named like the inputs.
  ///   - outputs: The `.npz` file to write.
  ///   - architecture: The architecture of a bare checkpoint; nil: recognised.
  ///   - inputSize: The size of images for a bare checkpoint, `N` or `HxW`; nil: the usual one.
  ///   - threads: Threads to use; nil: all processors.
  ///   - usesReference: Whether the slow, simple executor runs.
  /// - Throws: A refusal when a file or the network is not acceptable.
  public static func run(
    _ model: String,
    inputs: String,
    outputs: String,
    architecture: String? = nil,
    inputSize: String? = nil,
    threads: Int? = nil,
    usesReference: Bool = false
  ) throws {
    guard outputs.hasSuffix(".npz") else {
      throw Refusal(
        .usage,
        file: outputs,
        at: "output",
        rule: "C2",
        "outputs are written as .npz only",
        remedy: "let it end in .npz"
      )
    }
    let graph = try Loader.load(model, architecture: architecture, inputSize: inputSize)
    let arrays = try ArrayFile.read(inputs, for: ModelInput.inputs(of: graph))
    let session = try inFile(model) { () throws(Refusal) in
      try Session(graph, options: sessionOptions(threads: threads, usesReference: usesReference))
    }
    let results = try inFile(model) { () throws(Refusal) in try session.run(arrays) }
    let ordered = graph.outputs.compactMap { id in
      results[graph[id].name].map { (name: graph[id].name, tensor: $0) }
    }
    try NPZFile.write(ordered, to: outputs)
  }

  /// Session options from a thread count, nil meaning all processors.
  static func sessionOptions(threads: Int?, usesReference: Bool = false) -> SessionOptions {
    var options = SessionOptions()
    options.threads = threads ?? processors
    options.executor = usesReference ? .reference : .plan
    return options
  }
}

/// Runs `body` and names the file in its refusal.
func inFile<R>(_ file: String, _ body: () throws(Refusal) -> R) throws(Refusal) -> R {
  do { return try body() } catch { throw error.inFile(file) }
}
