internal import Glibc

/// How far one signal is from another, accumulated over any number of pieces.
struct SignalError: Hashable, Sendable {
  /// Sum of the squares of the reference.
  private(set) var signal = 0.0
  /// Sum of the squares of the candidate.
  private(set) var power = 0.0
  /// Sum of the products of reference and candidate.
  private(set) var product = 0.0
  /// Sum of the squared differences.
  private(set) var noise = 0.0
  private(set) var sumOfErrors = 0.0
  private(set) var largestError: Float = 0
  private(set) var count = 0
  /// Elements that are infinite or no numbers, of the reference and of the candidate.
  private(set) var nonFiniteReference = 0
  private(set) var nonFiniteCandidate = 0

  /// Ratios in decibels end here: equal signals have this, and what has no ratio at all has its negative.
  static let limit = 200.0

  /// Adds elements; those that are not finite on one side are counted and left out of the sums.
  mutating func add(reference: Span<Float>, candidate: Span<Float>) {
    precondition(reference.count == candidate.count)
    for index in reference.indices {
      let expected = reference[index]
      let found = candidate[index]
      guard expected.isFinite && found.isFinite else {
        if !expected.isFinite { nonFiniteReference += 1 }
        if !found.isFinite { nonFiniteCandidate += 1 }
        continue
      }
      let difference = Double(expected) - Double(found)
      signal += Double(expected) * Double(expected)
      power += Double(found) * Double(found)
      product += Double(expected) * Double(found)
      noise += difference * difference
      sumOfErrors += abs(difference)
      largestError = max(largestError, Float(abs(difference)))
    }
    count += reference.count
  }

  mutating func add(_ other: SignalError) {
    signal += other.signal
    power += other.power
    product += other.product
    noise += other.noise
    sumOfErrors += other.sumOfErrors
    largestError = max(largestError, other.largestError)
    count += other.count
    nonFiniteReference += other.nonFiniteReference
    nonFiniteCandidate += other.nonFiniteCandidate
  }

  /// Signal to quantization noise, `10 log10(signal / noise)` in dB, within ±``limit``.
  ///
  /// The lower limit where the candidate is not finite or the reference is zero and the candidate is not.
  var decibels: Double {
    guard nonFiniteCandidate <= nonFiniteReference else { return -SignalError.limit }
    guard noise > 0 else { return SignalError.limit }
    guard signal > 0 else { return -SignalError.limit }
    return min(SignalError.limit, max(-SignalError.limit, 10 * log10(signal / noise)))
  }

  /// The cosine of the angle between the signals: 1 for two zero signals, 0 where only one is zero.
  var cosine: Double {
    guard signal > 0 && power > 0 else { return signal == power ? 1 : 0 }
    return min(1, max(-1, product / (signal * power).squareRoot()))
  }

  var meanError: Double {
    let counted = count - max(nonFiniteReference, nonFiniteCandidate)
    return counted > 0 ? sumOfErrors / Double(counted) : 0
  }
}
