/// Counts of right and equal predictions over samples.
struct ClassTally: Hashable, Sendable {
  private(set) var samples = 0
  private(set) var labelled = 0
  private(set) var top1Reference = 0
  private(set) var top1Candidate = 0
  private(set) var top5Reference = 0
  private(set) var top5Candidate = 0
  private(set) var agreeing = 0
  private(set) var classes = 0
  /// How often each class was predicted or right, by class.
  private(set) var referencePredictions: [Int: Int] = [:]
  private(set) var candidatePredictions: [Int: Int] = [:]
  private(set) var labels: [Int: Int] = [:]

  /// Adds the scores of one sample, one per class.
  mutating func add(reference: [Float], candidate: [Float], label: Int?) {
    samples += 1
    classes = max(classes, reference.count)
    let expected = ClassTally.best(reference)
    let found = ClassTally.best(candidate)
    if expected == found && expected != nil { agreeing += 1 }
    if let expected { referencePredictions[expected, default: 0] += 1 }
    if let found { candidatePredictions[found, default: 0] += 1 }
    guard let label else { return }
    labelled += 1
    labels[label, default: 0] += 1
    top1Reference += ClassTally.rank(of: label, in: reference) < 1 ? 1 : 0
    top1Candidate += ClassTally.rank(of: label, in: candidate) < 1 ? 1 : 0
    top5Reference += ClassTally.rank(of: label, in: reference) < 5 ? 1 : 0
    top5Candidate += ClassTally.rank(of: label, in: candidate) < 5 ? 1 : 0
  }

  /// The class with the largest score, the first of equals; nil where a score is no number.
  static func best(_ scores: [Float]) -> Int? {
    guard !scores.contains(where: \.isNaN) else { return nil }
    return scores.indices.max { scores[$0] < scores[$1] || (scores[$0] == scores[$1] && $0 > $1) }
  }

  /// How many classes come before `label`: those with larger scores and earlier ones with equal scores.
  ///
  /// `Int.max` where a score is no number or there is no such class.
  static func rank(of label: Int, in scores: [Float]) -> Int {
    guard scores.indices.contains(label), !scores.contains(where: \.isNaN) else { return .max }
    let own = scores[label]
    return scores.indices.count { scores[$0] > own || (scores[$0] == own && $0 < label) }
  }

  /// The class that was predicted for every one of at least `minimum` samples, if there is one.
  static func lone(_ predictions: [Int: Int], of samples: Int, minimum: Int = 10) -> Int? {
    guard samples >= minimum, predictions.count == 1, let only = predictions.first, only.value == samples
    else {
      return nil
    }
    return only.key
  }
}
