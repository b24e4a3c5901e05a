internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Passes
internal import Quantization
internal import Runtime

/// The middle of a conversion: float passes, calibration, quantizing passes.
struct Rewriting {
  /// A network as a conversion leaves it.
  struct Result {
    fileprivate(set) var graph: Graph
    /// Passes that ran on it.
    fileprivate(set) var records: [PassManager.Record] = []
    fileprivate(set) var remarks: [Remark] = []

    /// Records what a budget found.
    mutating func note(budget: String) { graph.metadata[MetadataKey.budget] = budget }

    /// Bytes of its constants.
    var constantBytes: Int { graph.valueIDs.compactMap { graph[$0].constant?.bytes.count }.reduce(0, +) }
  }

  /// The network, simplified by ``prepare()``.
  private(set) var graph: Graph
  private(set) var calibration: String?
  /// What a look at the calibration data found.
  private(set) var preflight: PreflightReport?
  /// What the chosen ranges clip on samples that were not calibrated on.
  private(set) var saturation: SaturationReport?
  /// The family that the network belongs to; `auto` before it is known.
  private(set) var preset: Preset
  /// The network as it was read.
  let original: Graph
  private(set) var options: ConvertOptions
  /// The preprocessing that the network's file declares.
  private let declared: String?
  /// Mean and deviation of the noise that stands for data.
  private var noise: (mean: Float, deviation: Float) = (0, 1)
  let progress: (Converter.Event) -> Void
  private var records: [PassManager.Record] = []
  private var context: PassContext
  private var statistics: CalibrationStatistics?
  /// Nodes that stay float although nobody asked for it.
  private var keptByPreset: Set<NodeID> = []
  private let manager: PassManager

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
    original = graph
    preset = options.preset
    context = PassContext(
      options: options.passOptions,
      allocator: .spilling(to: scratch),
      evaluate: { (op, operands) throws(Refusal) in try Reference.evaluate(op: op, inputs: operands) }
    )
    var settings = PassManager.Options()
    settings.disabled = Set(options.disabledPasses)
    if let after = options.printAfter { settings.printing = after == "all" ? .always : .after([after]) }
    manager = try PassManager(options: settings) { name, text in progress(.text("after \(name):\n\(text)")) }
  }

  /// Simplifies the float network and, for int8, finds out what quantizing it takes.
  mutating func prepare() throws(Refusal) {
    try examine(nil)
    records += try manager.run(Pipelines.float, on: &graph, &context)
    guard options.precision == .int8 else { return }
    choosePreset()
    let asked = try KeptFloat.nodes(matching: options.keptFloat, in: graph)
    context.kept.merge(asked) { _, format in format }
    try shape()
    keptByPreset = Set(context.kept.keys).subtracting(asked.keys)
    if options.activations == .static { context.ranges = try ranges() }
    if preset == .transformer || options.showsRemarks, let text = graph.metadata[MetadataKey.preset] {
      progress(.text("preset \(text)"))
      if let text = graph.metadata[MetadataKey.recovery] { progress(.text("recovery \(text)")) }
    }
  }

  /// The layers that int8 conversion quantizes unless they are kept, in order.
  var layers: [QuantizableLayer] {
    QuantizableLayer.all(in: graph, context.options).filter { layer in
      !layer.nodes.contains { context.kept[$0] != nil }
    }
  }

  /// The prepared network quantized, and mended as the options say.
  ///
  /// - Parameters:
  ///   - float: Nodes that stay float beside those that the options keep.
  ///   - isMended: Whether what quantization cost is recovered, where the options ask for it.
  func quantized(
    keeping float: [NodeID: FloatFormat] = [:],
    isMended: Bool = true
  ) throws(Refusal) -> Result {
    var context = context
    context.kept.merge(float) { own, _ in own }
    var result = Result(graph: graph, records: records)
    result.records += try manager.run(Pipelines.quantize(context.options), on: &result.graph, &context)
    try correctMeans(&result, &context)
    if isMended, options.precision == .int8, options.recovers { try recover(&result, &context) }
    if options.precision == .weightOnly, options.recovers { try recoverBlocks(&result, &context) }
    result.remarks = context.remarks
    // A network that came quantized, and is only written anew, keeps its scheme.
    if options.precision != .fp32 || result.graph.metadata[MetadataKey.scheme] == nil {
      result.graph.metadata[MetadataKey.scheme] = options.schemeText(preset)
    }
    if let calibration { result.graph.metadata[MetadataKey.calibration] = calibration }
    if let text = KeptFloat.text(context.kept.filter { !keptByPreset.contains($0.key) }, in: graph) {
      result.graph.metadata[MetadataKey.keptFloat] = text
    }
    return result
  }

  /// The prepared network with nothing quantized but what layers read.
  ///
  /// - Parameter float: Nodes that stay float beside those that the options keep.
  func withQuantizedActivations(keeping float: [NodeID: FloatFormat]) throws(Refusal) -> Graph {
    var (graph, context) = (graph, context)
    context.kept.merge(float) { own, _ in own }
    _ = try manager.run(Pipelines.quantizeActivations(context.options.activations), on: &graph, &context)
    return graph
  }

  /// Simplifies the float network and observes its values on the samples that the options name.
  mutating func calibrate(_ shard: CalibrationShard?) throws(Refusal) -> CalibrationStatistics {
    try examine(shard)
    records += try manager.run(Pipelines.float, on: &graph, &context)
    return try observe(shard)
  }

  private mutating func choosePreset() {
    let (chosen, reason) = options.preset.resolved(for: graph)
    preset = chosen
    let knowsMeans =
      options.calibration.map { !$0.channelMeans.isEmpty }
      ?? (options.activations == .static && options.calibrationData != ConvertOptions.synthetic)
    context.options.correctsFromStatistics = options.correctsMeans && chosen != .transformer && !knowsMeans
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

  /// Changes the float network so that quantizing it costs less, from calibration data or made-up samples.
  ///
  /// Where the network does not run on made-up samples and the preset alone asked for it, nothing is changed, with a warning.
  private mutating func shape() throws(Refusal) {
    context.options.smooths = options.smooths(preset)
    context.options.smoothingExponent = options.smoothingAlpha
    context.options.splitsOutliers = options.splitsOutliers(preset)
    context.options.splitsTokens = options.splitsTokens
    guard context.options.smooths || context.options.splitsOutliers || context.options.splitsTokens else {
      return
    }
    guard options.calibration == nil else {
      throw Refusal(
        .usage,
        at: "recovery",
        rule: "C4",
        "smoothing and outlier columns need samples, not statistics",
        remedy:
          "give --calibrate DATA, or leave --calibration out to quantize activations while the network runs"
      )
    }
    context.observer = observer
    let sampler = ActivationSampler(threads: options.threads)
    let samples: Dataset
    do throws(Refusal) {
      samples =
        try options.calibrationData == nil
        ? MadeUpSamples.dataset(for: original) : calibrationSamples()
      context.activations = try sampler.gather(graph, on: samples)
    } catch {
      guard options.calibrationData == nil, !options.asksForShaping else { throw error }
      progress(.text("warning: neither smoothing nor outlier columns, the network refuses noise: \(error)"))
      (options.smooths, options.splitsOutliers) = (false, false)
      return
    }
    let before = context.remarks.count
    records += try manager.run(Pipelines.shape(context.options), on: &graph, &context)
    context.activations = [:]
    let origin = samples.isSynthetic ? ", on \(Dataset.noiseName)" : ""
    graph.metadata[MetadataKey.recovery] = Recovery.summary(context.remarks[before...]) + origin
  }

  /// Corrects biases by what calibration knows of channels.
  private func correctMeans(_ result: inout Result, _ context: inout PassContext) throws(Refusal) {
    guard options.precision == .int8, options.correctsMeans, preset != .transformer,
      let means = statistics?.channelMeans, !means.isEmpty, !options.disabledPasses.contains("quantize-bias")
    else { return }
    context.evidence = ChannelMeans.evidence(of: result.graph, from: graph, means: means)
    result.records += try manager.run(Pipelines.correctMeans, on: &result.graph, &context)
    context.evidence = [:]
  }

  /// Mends layers from calibration data.
  private func recover(_ result: inout Result, _ context: inout PassContext) throws(Refusal) {
    guard options.calibrationData != nil, options.activations == .static else {
      throw Refusal(
        .usage,
        at: "recovery",
        rule: "C4",
        "bias correction and rounding need samples",
        remedy: "give --calibrate DATA"
      )
    }
    let recovery = Recovery(float: graph, options: options.passOptions, threads: options.threads)
    let pipeline = Pipelines.recover(options.passOptions)
    let (manager, progress, isInterrupted) = (manager, progress, options.isInterrupted)
    var made: [PassManager.Record] = []
    try recovery.run(
      on: &result.graph,
      &context,
      try calibrationSamples(),
      apply: { (graph, context) throws(Refusal) in
        try Interruption.check(isInterrupted)
        made += try manager.run(pipeline, on: &graph, &context)
      },
      progress: { progress(.mended($0, of: $1)) }
    )
    result.records += made
  }

  /// Rounds weights in blocks anew from calibration data.
  private func recoverBlocks(_ result: inout Result, _ context: inout PassContext) throws(Refusal) {
    guard options.calibrationData != nil, options.rounding == WeightRounding.gptq.rawValue else {
      throw Refusal(
        .usage,
        at: "recovery",
        rule: "C4",
        "weights in blocks are rounded by gptq on samples, or to nearest",
        remedy: "give --calibrate DATA and --rounding gptq"
      )
    }
    let (manager, progress) = (manager, progress)
    var made: [PassManager.Record] = []
    try BlockRecovery(float: graph, threads: options.threads).run(
      on: &result.graph,
      &context,
      try calibrationSamples(),
      apply: { (graph, context) throws(Refusal) in
        made += try manager.run(Pipelines.recoverBlocks, on: &graph, &context)
      },
      progress: { progress(.mended($0, of: $1)) }
    )
    result.records += made
  }

  /// What chooses the range of an activation from its statistics.
  private var observer: any Observer {
    observerKind.makeObserver(alpha: Double(options.alpha), percentile: options.percentile)
  }

  private var observerKind: ObserverKind { ObserverKind(rawValue: options.observer) ?? .minMax }

  /// The ranges of activations, from statistics that were given or are made now.
  private mutating func ranges() throws(Refusal) -> ActivationRanges {
    let statistics: CalibrationStatistics
    if let given = options.calibration {
      statistics = given
    } else {
      statistics = try observe(nil, isCounting: observerKind.needsHistogram)
    }
    self.statistics = statistics
    calibration = statistics.text(observer: options.observerText)
    let ranges = try statistics.ranges(for: ModelHash.text(of: graph), by: observer)
    saturation = try heldOut().map { (data) throws(Refusal) in
      try SaturationReport.measured(graph, ranges, on: data, threads: options.threads)
    }
    return ranges
  }

  /// Looks at the calibration data before BatchNorm is folded, which tells what the network was trained on.
  private mutating func examine(_ shard: CalibrationShard?) throws(Refusal) {
    guard options.precision == .int8 || options.precision == .weightOnly,
      let path = options.calibrationData
    else { return }
    guard path != ConvertOptions.synthetic else {
      noise = SyntheticNoise.parameters(for: graph)
      return
    }
    guard options.preflight != .off else { return }
    var data = try calibrationSamples()
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
    guard let path = options.calibrationData, path != ConvertOptions.synthetic else { return nil }
    let all = try open(path)
    guard let used = calibrationCount(of: all) else { return nil }
    let rest = all.leavingOut(spread: used)
    return rest.count > 0 ? rest.spread(SaturationReport.sampleLimit) : nil
  }

  private func observe(
    _ shard: CalibrationShard?,
    isCounting: Bool = true
  ) throws(Refusal) -> CalibrationStatistics {
    let calibrator = Calibrator(threads: options.threads, shard: shard, isCounting: isCounting)
    var seen = try calibrator.calibrate(graph, on: try calibrationSamples()) {
      progress(.calibrated($0, of: $1))
    }
    if options.calibrationData == ConvertOptions.synthetic { seen.forgetChannels() }
    return seen
  }

  /// The samples that ranges are observed on and layers are mended from.
  private func calibrationSamples() throws(Refusal) -> Dataset {
    let dataset = try open(options.calibrationData ?? "")
    return calibrationCount(of: dataset).map(dataset.spread) ?? dataset
  }

  /// How many samples calibration takes; nil: all.
  ///
  /// A budget leaves at least half of them to judge by unless the options say otherwise.
  private func calibrationCount(of dataset: Dataset) -> Int? {
    if let count = options.calibrationSamples { return count }
    guard options.maximumDrop != nil, options.judgeData == nil else { return nil }
    return min(100, dataset.count / 2)
  }

  /// All samples of a folder or file, or made-up ones.
  private func open(_ path: String) throws(Refusal) -> Dataset {
    let preprocessing = try original.metadata[MetadataKey.preprocessing].map(Preprocessing.parse)
    let inputs = ModelInput.inputs(of: original)
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

  /// Samples to find sensitive layers with, and others that calibration did not see to judge the network by.
  func tuningSamples() throws(Refusal) -> (finding: Dataset, judging: Dataset) {
    let limit = Sensitivity.sampleLimit
    var judging: Dataset
    let finding: Dataset
    if options.calibrationData != nil {
      finding = try calibrationSamples().spread(limit)
      let rest = try options.judgeData.map(open)
      if let rest {
        judging = rest
      } else {
        let all = try open(options.calibrationData ?? "")
        judging = all.leavingOut(spread: calibrationCount(of: all) ?? all.count)
      }
    } else {
      let all = try open(options.judgeData ?? "")
      let count = options.maximumDrop == nil ? limit : min(limit, all.count / 2)
      finding = all.spread(count)
      judging = all.leavingOut(spread: count)
    }
    if let statistics { judging = try judging.leavingOut(digests: Set(statistics.samples.map(\.digest))) }
    return (finding, judging)
  }
}

extension Dataset {
  /// The samples whose own hash is none of these.
  fileprivate func leavingOut(digests: Set<String>) throws(Refusal) -> Dataset {
    var left: [Int] = []
    for index in 0..<count where !digests.contains(try subset(from: index, limit: 1).digest()) {
      left.append(index)
    }
    return selecting(left)
  }
}
