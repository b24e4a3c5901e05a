internal import BinaryIO
internal import Glibc
internal import GraphIR

/// The outputs of two models compared, sample by sample.
struct OutputComparison {
  private(set) var total = SignalError()
  private(set) var tally = ClassTally()
  private(set) var samples = 0
  private(set) var sumOfCosines = 0.0
  private(set) var worst: (sample: Int, cosine: Double)?
  /// Of the softmax of the scores, reference against candidate, in nats.
  private(set) var sumOfDivergences = 0.0
  private(set) var nonFiniteReference = 0
  private(set) var nonFiniteCandidate = 0

  /// Adds the outputs of a batch.
  ///
  /// - Parameters:
  ///   - reference: Outputs with a leading sample axis; the first one are class scores if it has a vector per sample.
  ///   - candidate: As many, of the same shapes.
  ///   - labels: One for each sample that counts; rows after these are ignored.
  /// - Throws: A refusal when shapes differ or a label is no class of the model.
  mutating func add(reference: [Tensor], candidate: [Tensor], labels: [Int?]) throws(Refusal) {
    var expected: [OutputRows] = []
    var found: [OutputRows] = []
    for (index, pair) in zip(reference, candidate).enumerated() {
      guard pair.0.shape == pair.1.shape else {
        throw OutputComparison.refusal(
          index,
          "has shape \(pair.1.shape) in the candidate and \(pair.0.shape) in the reference",
          remedy: "give two forms of one model"
        )
      }
      expected.append(try OutputRows(pair.0, output: index, samples: labels.count))
      found.append(try OutputRows(pair.1, output: index, samples: labels.count))
    }
    for (row, label) in labels.enumerated() { try add(row, label, expected, found) }
  }

  private mutating func add(
    _ row: Int,
    _ label: Int?,
    _ expected: [OutputRows],
    _ found: [OutputRows]
  ) throws(Refusal) {
    var error = SignalError()
    for (expected, found) in zip(expected, found) {
      error.add(reference: expected.values(row).span, candidate: found.values(row).span)
    }
    let cosine = error.nonFiniteCandidate > error.nonFiniteReference ? 0 : error.cosine
    sumOfCosines += cosine
    if cosine < worst?.cosine ?? .infinity { worst = (samples, cosine) }
    if error.nonFiniteReference > 0 { nonFiniteReference += 1 }
    if error.nonFiniteCandidate > 0 { nonFiniteCandidate += 1 }
    total.add(error)
    samples += 1
    guard let expected = expected.first, let found = found.first, expected.areScores else { return }
    if let label, label >= expected.size {
      throw OutputComparison.refusal(
        0,
        "has \(expected.size) classes, the label of sample \(samples - 1) is \(label)",
        remedy: "give labels that count the model's classes from 0"
      )
    }
    tally.add(reference: expected.values(row), candidate: found.values(row), label: label)
    sumOfDivergences += OutputComparison.divergence(expected.values(row), found.values(row))
  }

  /// The mean Kullback-Leibler divergence of the scores' softmax; nil where outputs are no scores.
  var meanDivergence: Double? { tally.samples > 0 ? sumOfDivergences / Double(tally.samples) : nil }

  /// `Σ p (log p - log q)` of the softmax `p` of one vector and `q` of another; infinite where a score is not finite.
  static func divergence(_ reference: [Float], _ candidate: [Float]) -> Double {
    guard reference.allSatisfy(\.isFinite), candidate.allSatisfy(\.isFinite) else { return .infinity }
    let (p, q) = (logSoftmax(reference), logSoftmax(candidate))
    return max(0, zip(p, q).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) })
  }

  private static func logSoftmax(_ scores: [Float]) -> [Double] {
    let peak = Double(scores.max() ?? 0)
    let total = log(scores.reduce(0) { $0 + exp(Double($1) - peak) })
    return scores.map { Double($0) - peak - total }
  }

  fileprivate static func refusal(_ output: Int, _ problem: String, remedy: String) -> Refusal {
    Refusal(.usage, at: "output \(output)", rule: "V2", problem, remedy: remedy)
  }
}

/// One output of a batch as rows of floats, one per sample.
private struct OutputRows {
  let size: Int
  /// Whether a row is a vector of at least two scores.
  let areScores: Bool
  private let elements: [Float]

  init(_ tensor: Tensor, output: Int, samples: Int) throws(Refusal) {
    guard let values = tensor.floatValues() else {
      throw OutputComparison.refusal(
        output,
        "is bool, expected numbers",
        remedy: "cut the comparison off the model"
      )
    }
    let rows = tensor.shape.first ?? 1
    guard samples == 1 || rows >= samples else {
      throw OutputComparison.refusal(
        output,
        "has shape \(tensor.shape) for \(samples) samples, expected a leading sample axis",
        remedy: "use a batch of 1"
      )
    }
    elements = values
    size = samples == 1 && rows != 1 && tensor.shape.count < 2 ? values.count : values.count / max(1, rows)
    areScores = tensor.dtype.isFloatingPoint && size > 1 && tensor.shape.dropFirst(2).allSatisfy { $0 == 1 }
  }

  func values(_ row: Int) -> [Float] { Array(elements[(row * size)..<(row * size + size)]) }
}
