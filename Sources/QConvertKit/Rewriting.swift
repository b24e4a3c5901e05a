internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Passes
internal import Quantization
internal import Runtime

/// The middle of a conversion: float passes, calibration, quantizing passes.
struct Rewriting {
  private(set) var graph: Graph
  private(set) var records: [PassManager.Record] = []
  private(set) var remarks: [Remark] = []
  private(set) var calibration: Calibrator.Summary?
  /// The family that the network belongs to; `auto` before it is known.
  private(set) var preset: Preset
  private let options: ConvertOptions
  private let manager: PassManager
  private let allocator: StorageAllocator
  private let progress: (Converter.Event) -> Void

  init(
    _ graph: Graph,
    _ options: ConvertOptions,
    scratch: String,
    progress: @escaping (Converter.Event) -> Void
  ) throws(Refusal) {
    self.progress = progress
    self.graph = graph
    self.options = options
    preset = options.preset
    allocator = .spilling(to: scratch)
    var settings = PassManager.Options()
    settings.disabled = Set(options.disabledPasses)
    if let after = options.printAfter { settings.printing = after == "all" ? .always : .after([after]) }
    manager = try PassManager(options: settings) { name, text in progress(.text("after \(name):\n\(text)")) }
  }

  mutating func run() throws(Refusal) {
    var context = PassContext(
      options: options.passOptions,
      allocator: allocator,
      evaluate: { (op, operands) throws(Refusal) in try Reference.evaluate(op: op, inputs: operands) }
    )
    try step(Pipelines.float, &context)
    if options.precision == .int8 { choosePreset(&context) }
    if options.precision == .int8, let data = options.calibrationData {
      context.ranges = try calibrate(data)
    }
    try step(Pipelines.quantize(options.passOptions), &context)
    remarks = context.remarks
    graph.metadata[MetadataKey.scheme] = options.schemeText(preset)
    if let calibration { graph.metadata[MetadataKey.calibration] = calibration.text }
    if options.showsRemarks { for remark in remarks { progress(.text(remark.description)) } }
  }

  private mutating func choosePreset(_ context: inout PassContext) {
    let (chosen, reason) = options.preset.resolved(for: graph)
    preset = chosen
    if chosen == .transformer, options.activations == .dynamic {
      context.options.activationGranularity = .perRow
    }
    let text = "\(chosen.rawValue): \(reason)"
    graph.metadata[MetadataKey.preset] = text
    progress(.text("preset \(text)"))
  }

  private mutating func step(_ pipeline: Pipeline, _ context: inout PassContext) throws(Refusal) {
    records += try manager.run(pipeline, on: &graph, &context)
  }

  private mutating func calibrate(_ data: String) throws(Refusal) -> ActivationRanges {
    let preprocessing = try graph.metadata[MetadataKey.preprocessing].map(Preprocessing.parse)
    var dataset = try Dataset.open(data, for: ModelInput.inputs(of: graph), preprocessing: preprocessing)
    if let limit = options.calibrationSamples { dataset = dataset.spread(limit) }
    let calibrator = Calibrator(
      observer: ObserverKind(rawValue: options.observer) ?? .minMax,
      alpha: Double(options.alpha),
      threads: options.threads
    )
    let (ranges, summary) = try calibrator.calibrate(graph, on: dataset) { progress(.calibrated($0, of: $1)) }
    calibration = summary
    return ranges
  }
}
