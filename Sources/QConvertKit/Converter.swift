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
    /// The sensitivity of so many of so many layers was measured.
    case measured(Int, of: Int)
    /// Under a budget, a first network is in the output; better ones replace it.
    case saved
    /// Under a budget, a network was judged.
    case judged(BudgetReport.Point)
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
  ///   - output: A path that ends in `.qmodel`, `.onnx` or `.safetensors`; replaced only once the new file is verified.
  ///   - options: What to do.
  ///   - progress: Called as the work goes on.
  ///
  /// With a budget (``ConvertOptions/maximumDrop``), the best network so far is written as soon as it is judged; an
  /// interrupt or a budget that cannot be held is told by the report.
  ///
  /// - Returns: What was done, in figures.
  /// - Throws: A refusal; then `output` is as it was, unless the event `saved` came.
  public static func convert(
    _ input: String,
    to output: String,
    options: ConvertOptions = ConvertOptions(),
    progress: @escaping (Event) -> Void = { _ in }
  ) throws -> ConvertReport {
    let start = ContinuousClock.now
    let writer = try ModelWriter(path: output, compress: options.compress)
    let (graph, declared) = try load(input, options)
    try refuseContradiction(options)
    var rewriting = try Rewriting(
      graph,
      options,
      declared: declared,
      scratch: folder(of: output),
      progress: progress
    )
    try inFile(input) { () throws(Refusal) in try rewriting.prepare() }
    let tuning = try inFile(input) { () throws(Refusal) in
      try Tuning(rewriting) { (result) throws(Refusal) in try writer.write(result.graph) }
    }
    let result = tuning.result
    if options.showsRemarks { for remark in result.remarks { progress(.text(remark.description)) } }
    let seconds = Double((ContinuousClock.now - start) / .milliseconds(1)) / 1000
    return ConvertReport(
      rewriting,
      tuning,
      input: input,
      output: output,
      inspection: try QConvert.inspect(output),
      seconds: seconds
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
    let (graph, declared) = try load(input, options)
    var rewriting = try Rewriting(graph, options, declared: declared, scratch: "/tmp", progress: progress)
    return try inFile(input) { () throws(Refusal) in try rewriting.calibrate(shard) }
  }

  /// The network with the preprocessing that is asked for, and the one that its file declares.
  private static func load(
    _ input: String,
    _ options: ConvertOptions
  ) throws(Refusal) -> (graph: Graph, declared: String?) {
    var graph = try Loader.load(
      input,
      architecture: options.architecture,
      inputSize: options.inputSize
    )
    try refuseQuantized(graph, input, options)
    try refuseNonFinite(graph, input, options)
    let declared = graph.metadata[MetadataKey.preprocessing]
    if let text = options.preprocessing ?? options.calibration?.preprocessing {
      graph.metadata[MetadataKey.preprocessing] = try Preprocessing.parse(text).description
    }
    return (graph, declared)
  }

  private static func refuseContradiction(_ options: ConvertOptions) throws(Refusal) {
    let asks = options.tunes || !options.keptFloat.isEmpty
    let hasData = options.calibrationData != nil || options.judgeData != nil
    guard asks, options.precision != .int8 || options.tunes && !hasData else { return }
    throw Refusal(
      .usage,
      at: options.tunes ? "measuring layers" : "--keep-float",
      rule: "C6",
      options.precision == .int8 ? "has no samples" : "goes with int8",
      remedy: options.precision == .int8 ? "give --calibrate DATA or --judge DATA" : "give --int8"
    )
  }

  private static func refuseQuantized(
    _ graph: Graph,
    _ input: String,
    _ options: ConvertOptions
  ) throws(Refusal) {
    guard options.precision != .fp32 else { return }
    let quantized = graph.order.first { id in
      switch graph[id].op {
      case .quantizeLinear, .dequantizeLinear, .dequantizeBias, .dequantizeBlocks, .dynamicQuantize: true
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
      remedy: "convert from the float original, or leave out \(options.precision.flags)"
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
