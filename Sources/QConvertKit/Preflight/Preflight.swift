internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Passes
internal import Runtime

/// Compares samples with what a network expects, before they decide anything.
struct Preflight {
  /// The network as it was read, BatchNorm not folded.
  let graph: Graph
  /// The preprocessing that the file itself declares.
  let declared: Preprocessing?
  /// Whether ranges are chosen from the samples.
  let isCalibration: Bool

  /// Samples of arrays that are looked at, since they need no decoding.
  private static let arrayLimit = 1024
  /// Images of 224x224 pixels that are looked at; of smaller ones as many as have as many pixels, at most 512.
  private static let imageLimit = 64
  /// Parts of the samples that are left out in turn to tell errors of estimates.
  private static let groups = 16

  init(_ graph: Graph, declared: String?, isCalibration: Bool) {
    self.graph = Preflight.prepared(graph)
    self.declared = declared.flatMap { try? Preprocessing.parse($0) }
    self.isCalibration = isCalibration
  }

  /// Whether the network remembers what it was trained on.
  var hasEvidence: Bool { FirstLayer(graph)?.training != nil }

  /// Looks at the samples.
  ///
  /// - Returns: What was found; nil for samples that were made up.
  /// - Throws: A refusal when a sample cannot be read.
  func report(on dataset: Dataset) throws(Refusal) -> PreflightReport? {
    guard !dataset.isSynthetic, let input = graph.inputs.first else { return nil }
    let limit = imageLimit(graph[input].type)
    let part = dataset.spread(dataset.preprocessing == nil ? Preflight.arrayLimit : limit)
    let layer = FirstLayer(graph)
    var survey = Survey(
      statistics: SampleStatistics(graph[input].type, isImage: isImageNetwork),
      layer,
      groups: Preflight.groups
    )
    let step = (part.count + limit - 1) / limit
    let names = graph.inputs.map { graph[$0].name }
    for index in 0..<part.count {
      survey.add(try part.sample(index), names: names, isMeasured: index % max(step, 1) == 0)
    }
    var evidence = PreflightEvidence(samples: part.count, statistics: survey.statistics)
    evidence.duplicates = survey.duplicates
    evidence.isMeasured = isImageNetwork || graph.inputs.count == 1 && graph[input].type.dtype.isFloatingPoint
    evidence.isPreprocessed = dataset.preprocessing != nil
    evidence.isCalibration = isCalibration
    evidence.front = layer.flatMap {
      $0.front == InputTransform(channels: $0.geometry.channels) ? nil : $0.front
    }
    declare(dataset, &evidence)
    if let layer, evidence.isMeasured { evidence.layer = judged(layer, survey, evidence.source) }
    if evidence.layer == nil, isImageNetwork, evidence.isSound, let source = evidence.source {
      let probe = PredictionProbe(graph: graph, dataset: part, source: source)
      evidence.betterPredictions = try probe.better(among: usual)
    }
    return report(evidence)
  }

  private func report(_ evidence: PreflightEvidence) -> PreflightReport {
    PreflightReport(
      samples: evidence.samples,
      channels: evidence.statistics.channels.map { moments in
        .init(
          mean: moments.mean,
          deviation: moments.deviation,
          minimum: moments.count > 0 ? moments.minimum : 0,
          maximum: moments.count > 0 ? moments.maximum : 0
        )
      },
      evidence: evidence.layer?.place,
      distance: evidence.layer?.given,
      hypotheses: evidence.layer?.hypotheses ?? [],
      findings: evidence.findings
    )
  }

  /// Images whose windows are measured, at most.
  private func imageLimit(_ type: TensorType) -> Int {
    let dims = type.dims.compactMap(\.value).sorted().suffix(2)
    guard dims.count == 2, let area = Checked.product(Array(dims)), area > 0 else {
      return Preflight.imageLimit
    }
    return min(512, max(Preflight.imageLimit, Preflight.imageLimit * 50_176 / area))
  }

  private var isImageNetwork: Bool {
    graph.inputs.count == 1
      && graph.order.contains { id in
        guard case .conv = graph[id].op else { return false }
        return true
      }
  }

  /// Fills in how samples were made of pixels, and whether the file declares otherwise.
  private func declare(_ dataset: Dataset, _ evidence: inout PreflightEvidence) {
    let statistics = evidence.statistics
    guard statistics.isImage else { return }
    let channels = statistics.channels.count
    let expected = declared.map { InputTransform($0, channels: channels) }
    if let used = dataset.preprocessing {
      let source = InputTransform(used, channels: channels)
      evidence.source = source
      if let expected, !expected.isClose(to: source) { evidence.otherDeclaration = flagsOfDeclaration }
      return
    }
    evidence.source = InputTransform.guess(statistics, declared: declared)
    guard let extent = expected?.extent else { return }
    let slack = 0.05 * (extent.upperBound - extent.lowerBound)
    if statistics.minimum < extent.lowerBound - slack || statistics.maximum > extent.upperBound + slack {
      evidence.otherDeclaration = flagsOfDeclaration
    }
  }

  /// Preprocessings worth trying.
  private var usual: [NamedPreprocessing] {
    let dims = graph.inputs.first.map { graph[$0].type.dims.map(\.value) } ?? []
    return NamedPreprocessing.usual(declared: declared, isImageNetSize: dims.count { $0 == 224 } == 2)
  }

  private var flagsOfDeclaration: String? { declared.map { NamedPreprocessing($0).flags } }

  /// What the first layer tells of the samples.
  private func judged(_ layer: FirstLayer, _ survey: Survey, _ source: InputTransform?) -> PreflightEvidence
    .Layer?
  {
    let moments = survey.moments
    let channels = layer.geometry.channels
    let identity = InputTransform(channels: channels)
    guard moments.windows > 0, let given = layer.distance(of: moments, changed: identity),
      let best = layer.bestTransform(for: moments)
    else { return nil }
    var hypotheses: [PreflightReport.Hypothesis] = []
    if let source {
      for candidate in usual {
        let wanted = InputTransform(candidate.preprocessing, channels: channels)
        guard !wanted.isClose(to: source), !hypotheses.contains(where: { $0.flags == candidate.flags }),
          let distance = layer.distance(of: moments, changed: wanted.following(source))
        else { continue }
        hypotheses.append(.init(flags: candidate.flags, distance: distance))
      }
    }
    return PreflightEvidence.Layer(
      place: layer.place,
      given: given,
      best: best,
      hypotheses: hypotheses,
      exchange: channels == 3 ? exchange(layer, survey, source ?? identity) : nil
    )
  }

  /// How the two orders of channels compare, and by how much that would vary with other samples, from leaving out each part of
  /// them in turn (jackknife).
  private func exchange(
    _ layer: FirstLayer,
    _ survey: Survey,
    _ source: InputTransform
  ) -> PreflightEvidence.Exchange? {
    let identity = InputTransform(channels: layer.geometry.channels)
    let other = source.reversed.following(source)
    func roots(_ moments: WindowMoments) -> (given: Double, other: Double)? {
      guard moments.windows > 0, let given = layer.meanRoot(of: moments, changed: identity),
        let found = layer.meanRoot(of: moments, changed: other)
      else { return nil }
      return (given, found)
    }
    let parts = survey.groups.indices.filter { survey.groups[$0].windows > 0 }
    let differences = parts.compactMap { roots(survey.moments(without: $0)).map { $0.given - $0.other } }
    guard differences.count > 3, let whole = roots(survey.moments),
      let distance = layer.distance(of: survey.moments, changed: other)
    else { return nil }
    let count = Double(differences.count)
    let mean = differences.reduce(0, +) / count
    let squares = differences.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    let error = max(1e-6, ((count - 1) / count * squares).squareRoot())
    return .init(distance: distance, given: whole.given, other: whole.other, error: error)
  }

  /// The network with what hides its first layer folded; as it is where that is refused.
  static func prepared(_ graph: Graph) -> Graph {
    var copy = graph
    var context = PassContext(
      evaluate: { (op, operands) throws(Refusal) in try Reference.evaluate(op: op, inputs: operands) }
    )
    do {
      try PassManager().run(Pipelines.preflight, on: &copy, &context)
      return copy
    } catch { return graph }
  }
}

/// What samples add up to.
private struct Survey {
  private(set) var statistics: SampleStatistics
  private(set) var duplicates = 0
  /// Moments of parts of the samples; empty where no layer cuts windows.
  private(set) var groups: [WindowMoments]
  private var seen: Set<UInt64> = []
  private var measured = 0

  init(statistics: SampleStatistics, _ layer: FirstLayer?, groups: Int) {
    self.statistics = statistics
    let isUseful = statistics.isImage && layer?.training != nil
    self.groups =
      isUseful ? layer.map { .init(repeating: WindowMoments($0.geometry), count: groups) } ?? [] : []
  }

  var moments: WindowMoments { moments(without: nil) }

  /// The moments of all samples but one part.
  func moments(without excluded: Int?) -> WindowMoments {
    guard var result = groups.first.map({ WindowMoments($0.geometry) }) else {
      return WindowMoments(
        .init(channels: 1, kernel: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1])
      )
    }
    for index in groups.indices where index != excluded { result.merge(groups[index]) }
    return result
  }

  /// - Parameters:
  ///   - sample: A sample.
  ///   - names: Of the inputs, the one to look into first.
  ///   - isMeasured: Whether its windows are measured, too.
  mutating func add(_ sample: Sample, names: [String], isMeasured: Bool) {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for name in names {
      guard let tensor = sample.inputs[name], let values = tensor.floatValues() else { continue }
      for value in values { hash = (hash ^ UInt64(value.bitPattern)) &* 0x0000_0100_0000_01B3 }
      guard name == names.first else { continue }
      let read = statistics.add(values, shape: tensor.shape)
      guard isMeasured, read.isFinite, !groups.isEmpty else { continue }
      groups[measured % groups.count].add(read.values, height: read.height, width: read.width)
      measured += 1
    }
    if !seen.insert(hash).inserted { duplicates += 1 }
  }
}
