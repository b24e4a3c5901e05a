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
  /// What a look at the calibration data found.
  private(set) var preflight: PreflightReport?
  /// What the chosen ranges clip on samples that were not calibrated on.
  private(set) var saturation: SaturationReport?
  /// The family that the network belongs to; `auto` before it is known.
  private(set) var preset: Preset
  private let options: ConvertOptions
  /// The preprocessing that the network's file declares.
  private let declared: String?
  /// Mean and deviation of the noise that stands for data.
  private var noise: (mean: Float, deviation: Float) = (0, 1)
  private let manager: PassManager
  private let allocator: StorageAllocator
  private let progress: (Converter.Event) -> Void

  init(
    _ graph: Graph,
    _ options: ConvertOptions,
    declared: String?,
    scratch: String,
    progress: @escaping (Converter.Event) -> Void
  ) throws(Refusal) {
    self.progress = progress
    self.graph = graph
    self.options = options
    self.declared = declared
    preset = options.preset
    allocator = .spilling(to: scratch)
    var settings = PassManager.Options()
    settings.disabled = Set(options.disabledPasses)
    if let after = options.printAfter { settings.printing = after == "all" ? .always : .after([after]) }
    manager = try PassManager(options: settings) { name, text in progress(.text("after \(name):\n\(text)")) }
  }

  /// Simplifies the float network, quantizes it, and recovers what that cost, as the options say.
  mutating func run() throws(Refusal) {
    try examine(nil)
    var context = PassContext(
      options: options.passOptions,
      allocator: allocator,
      evaluate: { (op, operands) throws(Refusal) in try Reference.evaluate(op: op, inputs: operands) }
    )
    try step(Pipelines.float, &context)
    if options.precision == .int8 { choosePreset(&context) }
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
    }
    if options.showsRemarks { for remark in remarks { progress(.text(remark.description)) } }
  }

  /// Simplifies the float network and observes its values on the samples that the options name.
  mutating func calibrate(_ shard: CalibrationShard?) throws(Refusal) -> CalibrationStatistics {
    try examine(shard)
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
    graph.metadata[MetadataKey.preset] = "\(chosen.rawValue): \(reason)"
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
    let ranges = try statistics.ranges(for: ModelHash.text(of: graph), by: observer)
    saturation = try heldOut().map { (data) throws(Refusal) in
      try SaturationReport.measured(graph, ranges, on: data, threads: options.threads)
    }
    return ranges
  }

  /// Looks at the calibration data before BatchNorm is folded, which tells what the network was trained on.
  private mutating func examine(_ shard: CalibrationShard?) throws(Refusal) {
    guard options.precision == .int8, let path = options.calibrationData else { return }
    guard path != ConvertOptions.synthetic else {
      noise = SyntheticNoise.parameters(for: graph)
      return
    }
    guard options.preflight != .off else { return }
    var data = try dataset()
    if let shard { data = data.subset(from: shard.number - 1, every: shard.count) }
    guard data.count > 0 else { return }
    let report = try Preflight(graph, declared: declared, isCalibration: true).report(on: data)
    preflight = report
    if options.preflight == .strict, let refusal = report?.refusal(of: "calibration data") {
      throw refusal.inFile(path)
    }
    for warning in report?.warnings ?? [] { progress(.text("warning: \(warning)")) }
  }

  /// Some of the samples that are not calibrated on; nil where there are none.
  private func heldOut() throws(Refusal) -> Dataset? {
    guard let path = options.calibrationData, path != ConvertOptions.synthetic,
      let used = options.calibrationSamples
    else { return nil }
    let rest = try everything(path).leavingOut(spread: used)
    return rest.count > 0 ? rest.spread(SaturationReport.sampleLimit) : nil
  }

  private func observe(_ shard: CalibrationShard?) throws(Refusal) -> CalibrationStatistics {
    let calibrator = Calibrator(threads: options.threads, shard: shard)
    return try calibrator.calibrate(graph, on: try dataset()) { progress(.calibrated($0, of: $1)) }
  }

  /// The samples that the options name.
  private func dataset() throws(Refusal) -> Dataset {
    let data = try everything(options.calibrationData ?? "")
    return options.calibrationSamples.map(data.spread) ?? data
  }

  /// All samples of a folder or file, or made-up ones.
  private func everything(_ path: String) throws(Refusal) -> Dataset {
    let preprocessing = try graph.metadata[MetadataKey.preprocessing].map(Preprocessing.parse)
    let inputs = ModelInput.inputs(of: graph)
    guard path == ConvertOptions.synthetic else {
      return try Dataset.open(path, for: inputs, preprocessing: preprocessing)
    }
    return try Dataset.noise(
      for: inputs,
      size: preprocessing?.crop,
      mean: noise.mean,
      deviation: noise.deviation,
      count: options.calibrationSamples ?? SyntheticNoise.samples
    )
  }
}
