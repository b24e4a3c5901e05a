internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Passes

/// Lets layers fall back to float, step by step up a ``FloatLadder``, until the network loses no more than a budget.
///
/// The number of steps is doubled until the budget holds, then bisected to the least that does, as if accuracy only rose with it;
/// every network on the way is judged, and the best one so far is written at once.
struct BudgetSearch {
  let rewriting: Rewriting
  /// Writes a network to the output.
  let write: (Rewriting.Result) throws(Refusal) -> Void
  private(set) var report: BudgetReport
  private(set) var sensitivity: SensitivityReport?
  private var ladder = FloatLadder([])
  /// The network that was written last.
  private var best: Rewriting.Result?

  init(_ rewriting: Rewriting, write: @escaping (Rewriting.Result) throws(Refusal) -> Void) {
    self.rewriting = rewriting
    self.write = write
    report = BudgetReport(maximumDrop: rewriting.options.maximumDrop ?? 0)
  }

  /// Searches, and leaves the best network in the output.
  ///
  /// - Returns: That network.
  /// - Throws: A refusal when nothing could be written; what comes later, such as an interrupt, is told by ``report``.
  mutating func run() throws(Refusal) -> Rewriting.Result {
    let (finding, judging) = try rewriting.tuningSamples()
    var judge = try Judge(rewriting.original, judging, rewriting.options)
    report.samples = judging.count
    report.data = judging.summary
    report.layers = rewriting.layers.count
    let first = try rewriting.quantized()
    _ = try judge.compare(first.graph, limit: 1)
    try write(first)
    best = first
    rewriting.progress(.saved)
    do throws(Refusal) {
      try consider(first, 0, &judge)
      if report.chosen?.holds != true || rewriting.options.measuresSensitivity {
        let measured = try Sensitivity(rewriting: rewriting, samples: finding).measure()
        sensitivity = measured.report
        ladder = FloatLadder(Array(zip(measured.ranking, measured.report.layers)))
      }
      if report.chosen?.holds != true { try search(&judge) }
    } catch {
      guard error.kind == .interrupted else { throw error }
      report.isInterrupted = true
    }
    report.curve.sort { $0.steps < $1.steps }
    return best ?? first
  }

  private mutating func search(_ judge: inout Judge) throws(Refusal) {
    var failing = 0
    var count = 1
    while failing < ladder.steps.count {
      count = min(count, ladder.steps.count)
      if try consider(try candidate(count), count, &judge) { break }
      failing = count
      count *= 2
    }
    guard failing < ladder.steps.count else { return }
    while count - failing > 1 {
      let middle = (count + failing) / 2
      if try consider(try candidate(middle), middle, &judge) { count = middle } else { failing = middle }
    }
  }

  /// The network after so many steps.
  private func candidate(_ count: Int) throws(Refusal) -> Rewriting.Result {
    try Interruption.check(rewriting.options.isInterrupted)
    var kept: [NodeID: FloatFormat] = [:]
    for (layer, format) in ladder.layers(after: count) { for node in layer.nodes { kept[node] = format } }
    return try rewriting.quantized(keeping: kept)
  }

  /// Judges a network and writes it if it is the best so far.
  ///
  /// - Returns: Whether it holds the budget.
  @discardableResult
  private mutating func consider(
    _ result: Rewriting.Result,
    _ count: Int,
    _ judge: inout Judge
  ) throws(Refusal) -> Bool {
    let comparison = try judge.compare(result.graph)
    report.measure = comparison.budgetMeasure(hasLabels: judge.samples.hasLabels)
    report.resolution = report.measure == .cosine ? nil : 100 / Double(max(1, comparison.samples))
    let drop = comparison.drop(report.measure)
    let tally = comparison.tally
    let layers = ladder.layers(after: count)
    let point = BudgetReport.Point(
      steps: count,
      floatLayers: layers.count,
      float16Layers: layers.count { $0.format == .float16 },
      constantBytes: result.constantBytes,
      drop: drop,
      top1Agreement: tally.samples > 0 ? Double(tally.agreeing) / Double(tally.samples) : nil,
      sqnrDB: comparison.total.decibels,
      holds: drop <= report.maximumDrop + 1e-9
    )
    report.curve.append(point)
    rewriting.progress(.judged(point))
    guard report.chosen.map({ point.isBetter(than: $0) }) ?? true else { return point.holds }
    report.chosen = point
    report.floatLayers = layers.map { .init(name: $0.layer.name, weights: $0.format.rawValue) }
    var noted = result
    noted.note(budget: report.finding)
    try write(noted)
    best = noted
    return point.holds
  }
}

extension BudgetReport.Point {
  /// Whether the network is preferred: one that holds the budget to one that does not; of those that hold it the one with fewer
  /// steps, of others the more accurate one.
  fileprivate func isBetter(than other: BudgetReport.Point) -> Bool {
    if holds != other.holds { return holds }
    if holds { return steps < other.steps }
    return (drop, -sqnrDB) < (other.drop, -other.sqnrDB)
  }
}

extension OutputComparison {
  /// What a budget counts with these outputs and data.
  func budgetMeasure(hasLabels: Bool) -> BudgetReport.Measure {
    guard tally.samples == samples else { return .cosine }
    return hasLabels ? .top1 : .disagreement
  }

  /// Points lost.
  func drop(_ measure: BudgetReport.Measure) -> Double {
    let count = Double(max(1, samples))
    return switch measure {
    case .top1: 100 * Double(tally.top1Reference - tally.top1Candidate) / count
    case .disagreement: 100 * Double(tally.samples - tally.agreeing) / count
    case .cosine: 100 * (1 - sumOfCosines / count)
    }
  }
}
