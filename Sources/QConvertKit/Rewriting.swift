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
  private(set) var calibration: String?
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

  /// Simplifies the float network, quantizes it, and recovers what that cost, as the options say.
  mutating func run() throws(Refusal) {
    var context = PassContext(
      options: options.passOptions,
      allocator: allocator,
      evaluate: { (op, operands) throws(Refusal) in try Reference.evaluate(op: op, inputs: operands) }
    )
    try step(Pipelines.float, &context)
    if options.precision == .int8 {
      choosePreset(&context)
      try shape(&context)
    }
    if options.precision == .int8, options.activations == .static {
      context.ranges = try ranges()
    }
    let float = graph
    try step(Pipelines.quantize(context.options), &context)
    if options.precision == .int8, options.recovers { try recover(float, &context) }
    remarks = context.remarks
    graph.metadata[MetadataKey.scheme] = options.schemeText(preset)
    if let calibration { graph.metadata[MetadataKey.calibration] = calibration }
    if preset == .transformer || options.showsRemarks, let text = graph.metadata[MetadataKey.preset] {
      progress(.text("preset \(text)"))
      if let text = graph.metadata[MetadataKey.recovery] { progress(.text("recovery \(text)")) }
    }
    if options.showsRemarks { for remark in remarks { progress(.text(remark.description)) } }
  }

  /// Simplifies the float network and observes its values on the samples that the options name.
  mutating func calibrate(_ shard: CalibrationShard?) throws(Refusal) -> CalibrationStatistics {
    var context = PassContext(
      options: options.passOptions,
      allocator: allocator,
      evaluate: { (op, operands) throws(Refusal) in try Reference.evaluate(op: op, inputs: operands) }
    )
    try step(Pipelines.float, &context)
    return try observe(shard)
  }

  private mutating func choosePreset(_ context: inout PassContext) {
    let (chosen, reason) = options.preset.resolved(for: graph)
    preset = chosen
    if chosen == .transformer, options.activations == .dynamic {
      context.options.activationGranularity = .perRow
    }
    if chosen == .transformer {
      for (node, format) in QuantizationTargets.sensitiveNodes(ofTransformer: graph) {
        context.kept[node] = format
      }
    }
    graph.metadata[MetadataKey.preset] = "\(chosen.rawValue): \(reason)"
  }

  /// Changes the float network so that quantizing it costs less, from calibration data.
  private mutating func shape(_ context: inout PassContext) throws(Refusal) {
    context.options.smooths = options.smooths(preset)
    context.options.smoothingExponent = options.smoothingAlpha
    context.options.splitsOutliers = options.splitsOutliers(preset)
    guard context.options.smooths || context.options.splitsOutliers else { return }
    guard options.calibrationData != nil else {
      throw Refusal(
        .usage,
        at: "recovery",
        rule: "C4",
        "smoothing and outlier columns need samples",
        remedy: "give --calibrate DATA, with --dynamic to quantize activations while the network runs"
      )
    }
    let kind = ObserverKind(rawValue: options.observer) ?? .minMax
    context.observer = kind.makeObserver(alpha: Double(options.alpha), percentile: options.percentile)
    context.activations = try ActivationSampler(threads: options.threads).gather(graph, on: try dataset())
    let before = context.remarks.count
    try step(Pipelines.shape(context.options), &context)
    context.activations = [:]
    graph.metadata[MetadataKey.recovery] = Recovery.summary(context.remarks[before...])
  }

  private mutating func step(_ pipeline: Pipeline, _ context: inout PassContext) throws(Refusal) {
    records += try manager.run(pipeline, on: &graph, &context)
  }

  /// Mends layers from calibration data.
  private mutating func recover(_ float: Graph, _ context: inout PassContext) throws(Refusal) {
    guard options.calibrationData != nil, options.activations == .static else {
      throw Refusal(
        .usage,
        at: "recovery",
        rule: "C4",
        "bias correction and rounding need samples",
        remedy: "give --calibrate DATA"
      )
    }
    let recovery = Recovery(float: float, options: options.passOptions, threads: options.threads)
    let pipeline = Pipelines.recover(options.passOptions)
    let (manager, progress) = (manager, progress)
    var made: [PassManager.Record] = []
    try recovery.run(
      on: &graph,
      &context,
      try dataset(),
      apply: { (graph, context) throws(Refusal) in made += try manager.run(pipeline, on: &graph, &context) },
      progress: { progress(.mended($0, of: $1)) }
    )
    records += made
  }

  /// The ranges of activations, from statistics that were given or are made now.
  private mutating func ranges() throws(Refusal) -> ActivationRanges {
    let statistics: CalibrationStatistics
    if let given = options.calibration { statistics = given } else { statistics = try observe(nil) }
    let kind = ObserverKind(rawValue: options.observer) ?? .minMax
    let observer = kind.makeObserver(alpha: Double(options.alpha), percentile: options.percentile)
    calibration = statistics.text(observer: options.observerText)
    return try statistics.ranges(for: ModelHash.text(of: graph), by: observer)
  }

  private func observe(_ shard: CalibrationShard?) throws(Refusal) -> CalibrationStatistics {
    let calibrator = Calibrator(threads: options.threads, shard: shard)
    return try calibrator.calibrate(graph, on: try dataset()) { progress(.calibrated($0, of: $1)) }
  }

  /// The samples that the options name.
  private func dataset() throws(Refusal) -> Dataset {
    let preprocessing = try graph.metadata[MetadataKey.preprocessing].map(Preprocessing.parse)
    let data = options.calibrationData ?? ""
    let dataset = try Dataset.open(data, for: ModelInput.inputs(of: graph), preprocessing: preprocessing)
    return options.calibrationSamples.map(dataset.spread) ?? dataset
  }
}
