internal import BinaryIO
internal import Datasets
internal import Glibc
internal import GraphIR
internal import Passes
internal import QModelFormat
internal import Quantization
internal import Runtime
internal import Safetensors

/// Converts a network from one file to another.
public enum Converter {
  /// What happens while a conversion runs.
  public enum Event: Sendable {
    /// So many of so many samples were calibrated.
    case calibrated(Int, of: Int)
    /// So many of so many layers were mended.
    case mended(Int, of: Int)
    /// Text the options asked for: a graph, or a remark.
    case text(String)
  }

  /// Names and summaries of all passes, a line each.
  public static var passList: String {
    let width = PassList.all.map(\.name.count).max() ?? 0
    return PassList.all.map { pass in
      pass.name + String(repeating: " ", count: width + 2 - pass.name.count) + pass.summary
    }.joined(separator: "\n")
  }

  /// Reads `input`, rewrites it as `options` say, and writes `output`.
  ///
  /// - Parameters:
  ///   - input: An `.onnx`, `.safetensors` or `.qmodel` file.
  ///   - output: A path that ends in `.qmodel` or `.safetensors`; replaced only once the new file is verified.
  ///   - options: What to do.
  ///   - progress: Called as the work goes on.
  /// - Returns: What was done, in figures.
  /// - Throws: A refusal; then `output` is as it was.
  public static func convert(
    _ input: String,
    to output: String,
    options: ConvertOptions = ConvertOptions(),
    progress: @escaping (Event) -> Void = { _ in }
  ) throws -> ConvertReport {
    let start = ContinuousClock.now
    let writer = try ModelWriter(path: output, compress: options.compress)
    let graph = try load(input, options)
    var rewriting = try Rewriting(graph, options, scratch: folder(of: output), progress: progress)
    try inFile(input) { () throws(Refusal) in try rewriting.run() }
    try writer.write(rewriting.graph)
    let seconds = Double((ContinuousClock.now - start) / .milliseconds(1)) / 1000
    return ConvertReport(
      rewriting,
      input: input,
      output: output,
      inspection: try QConvert.inspect(output),
      seconds: seconds,
      options
    )
  }

  /// Observes the values of a network on samples, or on a part of them, for later conversions.
  ///
  /// - Parameters:
  ///   - input: An `.onnx`, `.safetensors` or `.qmodel` file.
  ///   - options: `calibrationData` names the samples; the rest as for the conversion.
  ///   - shard: The part of the samples to observe; nil: all.
  ///   - progress: Called as the work goes on.
  /// - Throws: A refusal when the network or the samples cannot be used.
  public static func calibrate(
    _ input: String,
    options: ConvertOptions,
    shard: CalibrationShard? = nil,
    progress: @escaping (Event) -> Void = { _ in }
  ) throws -> CalibrationStatistics {
    let graph = try load(input, options)
    var rewriting = try Rewriting(graph, options, scratch: "/tmp", progress: progress)
    return try inFile(input) { () throws(Refusal) in try rewriting.calibrate(shard) }
  }

  private static func load(_ input: String, _ options: ConvertOptions) throws(Refusal) -> Graph {
    var graph = try Loader.load(
      input,
      architecture: options.architecture,
      inputSize: options.inputSize
    )
    try refuseQuantized(graph, input, options)
    try refuseNonFinite(graph, input, options)
    if let text = options.preprocessing ?? options.calibration?.preprocessing {
      graph.metadata[MetadataKey.preprocessing] = try Preprocessing.parse(text).description
    }
    return graph
  }

  private static func refuseQuantized(
    _ graph: Graph,
    _ input: String,
    _ options: ConvertOptions
  ) throws(Refusal) {
    guard options.precision != .fp32 else { return }
    let quantized = graph.order.first { id in
      switch graph[id].op {
      case .quantizeLinear, .dequantizeLinear, .dequantizeBias, .dynamicQuantize: true
      default: false
      }
    }
    guard let quantized else { return }
    throw Refusal(
      .unsupported,
      file: input,
      at: graph.label(of: quantized),
      rule: "C1",
      "the network is quantized already",
      remedy: "convert from the float original, or leave out --\(options.precision.rawValue)"
    )
  }

  private static func refuseNonFinite(
    _ graph: Graph,
    _ input: String,
    _ options: ConvertOptions
  ) throws(Refusal) {
    guard options.precision != .fp32, !options.allowsNonFinite,
      let found = GraphValidator.nonFiniteConstants(graph).first
    else { return }
    throw Refusal(
      .invalid,
      file: input,
      at: "tensor \(Refusal.quoted(found.name))",
      rule: "O36",
      "holds \(found.count) values that are NaN or infinite",
      remedy: "repair the checkpoint, or give --allow-nonfinite to quantize all the same"
    )
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
