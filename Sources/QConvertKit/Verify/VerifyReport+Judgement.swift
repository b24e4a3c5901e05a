internal import Datasets

extension VerifyReport {
  /// The report of a finished comparison, not judged yet.
  init(_ comparison: OutputComparison, _ dataset: Dataset, hasLabels: Bool) {
    let tally = comparison.tally
    func share(_ count: Int, of total: Int) -> Double? { total > 0 ? Double(count) / Double(total) : nil }
    let labelled = hasLabels ? tally.labelled : 0
    data = dataset.summary
    synthetic = dataset.isSynthetic
    samples = comparison.samples
    top1Reference = share(tally.top1Reference, of: labelled)
    top1Candidate = share(tally.top1Candidate, of: labelled)
    top5Reference = share(tally.top5Reference, of: labelled)
    top5Candidate = share(tally.top5Candidate, of: labelled)
    top1Agreement = share(tally.agreeing, of: tally.samples)
    cosine = comparison.sumOfCosines / Double(max(1, comparison.samples))
    sqnrDB = comparison.total.decibels
    maxAbsError = Double(comparison.total.largestError)
    meanAbsError = comparison.total.meanError
    worstSample = comparison.worst.map { dataset.name($0.sample) } ?? ""
    worstCosine = comparison.worst?.cosine ?? 0
    nonFiniteReference = comparison.nonFiniteReference
    nonFiniteCandidate = comparison.nonFiniteCandidate
    findings = []
    failures = []
    passed = true
  }

  /// Fills in what is worth knowing and what did not pass.
  mutating func judge(_ comparison: OutputComparison, _ options: VerifyOptions) {
    findClassCollapse(comparison.tally)
    findWrongData(comparison.tally)
    if nonFiniteReference > 0 {
      findings.append("The reference gives infinities or NaN on \(nonFiniteReference) samples.")
    }
    if nonFiniteCandidate > nonFiniteReference {
      failures.append("The candidate gives infinities or NaN on \(nonFiniteCandidate) samples.")
    }
    if let name = firstLayerBelow, let bound = layerBound,
      let layer = layers?.first(where: { $0.name == name })
    {
      findings.append(
        "The first layer below \(decimals(bound, 1)) dB is \(layer.op) '\(name)' with \(decimals(layer.sqnrDB, 1)) dB."
      )
    }
    require("top-1 agreement", top1Agreement, atLeast: options.minimumTop1Agreement, places: 4)
    require("SQNR in dB", sqnrDB, atLeast: options.minimumSQNR, places: 2)
    require("cosine", cosine, atLeast: options.minimumCosine, places: 6)
    if let most = options.maximumTop1Drop, let before = top1Reference, let after = top1Candidate,
      before - after > most + 1e-9
    {
      failures.append(
        "Top-1 accuracy drops by \(decimals(100 * (before - after), 2)) points, at most \(decimals(100 * most, 2)) "
          + "were allowed."
      )
    }
    passed = failures.isEmpty
  }

  private mutating func require(_ name: String, _ value: Double?, atLeast bound: Double?, places: Int) {
    guard let bound else { return }
    guard let value else {
      failures.append("There is no \(name): the outputs are no class scores.")
      return
    }
    guard value < bound else { return }
    failures.append("The \(name) is \(decimals(value, places)), below \(decimals(bound, places)).")
  }

  /// A model that always predicts the same class is broken, even where its outputs are close.
  private mutating func findClassCollapse(_ tally: ClassTally) {
    let reference = ClassTally.lone(tally.referencePredictions, of: tally.samples)
    let candidate = ClassTally.lone(tally.candidatePredictions, of: tally.samples)
    let isVaried = synthetic ? reference == nil : reference == nil || tally.labels.count > 1
    if let candidate, reference == nil {
      failures.append("The candidate predicts class \(candidate) for every sample.")
    } else if let reference, isVaried {
      findings.append(
        "The reference itself predicts class \(reference) for every sample: check the preprocessing."
      )
    }
  }

  /// A reference that is hardly better than chance hints at wrong preprocessing or labels.
  private mutating func findWrongData(_ tally: ClassTally) {
    guard let top1Reference, tally.classes > 1, tally.labelled >= 20 else { return }
    guard top1Reference < 2 / Double(tally.classes) || top1Reference < 0.02 else { return }
    findings.append(
      "The reference is right on \(decimals(100 * top1Reference, 1)) % only, about chance: "
        + "check the preprocessing and the order of the classes."
    )
  }
}

/// `value` with `places` digits after the point.
func decimals(_ value: Double, _ places: Int) -> String {
  guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
  let unit = (0..<places).reduce(1.0) { result, _ in result * 10 }
  let scaled = Int((abs(value) * unit).rounded())
  let digits = String(scaled)
  let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
  let sign = value < 0 && scaled != 0 ? "-" : ""
  return places == 0 ? sign + padded : "\(sign)\(padded.dropLast(places)).\(padded.suffix(places))"
}
