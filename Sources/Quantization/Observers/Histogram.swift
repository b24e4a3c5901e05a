/// Counts of magnitudes in bins of equal width, the width being a power of two that grows with the values.
///
/// Bin `i` of a sign holds `i · width <= |x| < (i + 1) · width`. The width is the least at which the largest magnitude
/// fits, so it depends on the values alone; and bins of one width are unions of bins of a smaller one. The counts
/// are therefore the same in whatever order values arrive, and however histograms of parts are merged.
package struct Histogram: Hashable, Sendable, Codable {
  /// Bins of each sign.
  package static let binCount = 4096
  /// The least exponent of ``width``, which keeps its reciprocal finite.
  private static let leastExponent = -120
  /// The exponent at which the largest f32 fits.
  private static let greatestExponent = 116
  /// Counts above this are taken for damage, so that sums cannot overflow.
  private static let largestCount = 1 << 48

  /// Values that are exactly 0.
  package private(set) var zeros = 0
  /// The width of a bin is two to this power; nil before the first value other than 0.
  private(set) var exponent: Int?
  private var positive: [Int] = []
  private var negative: [Int] = []

  package init() {}

  /// The width of a bin.
  package var width: Double { exponent.map { Double(sign: .plus, exponent: $0, significand: 1) } ?? 0 }

  /// All values counted.
  package var count: Int { zeros + positive.reduce(0, +) + negative.reduce(0, +) }

  /// Counts finite values, none of which has a magnitude above `peak`.
  package mutating func add(_ values: Span<Float>, peak: Float) {
    grow(to: Histogram.exponent(for: peak))
    guard let exponent else {
      zeros += values.count
      return
    }
    let inverse = Float(sign: .plus, exponent: -exponent, significand: 1)
    for first in stride(from: 0, to: values.count, by: Histogram.runLength) {
      let end = min(values.count, first + Histogram.runLength)
      addRun(values.extracting(first..<end), inverse)
    }
  }

  /// Values that 32 bits can count.
  private static let runLength = 1 << 30

  /// Counts values by the reciprocal of the width.
  ///
  /// Two tables of both signs take turns, so that equal neighbours do not wait for each other.
  private mutating func addRun(_ values: Span<Float>, _ inverse: Float) {
    let size = 2 * Histogram.binCount
    var zeros = 0
    let counts = unsafe [UInt32](unsafeUninitializedCapacity: 2 * size) { (table, count) in
      unsafe table.initialize(repeating: 0)
      for index in values.indices {
        let value = unsafe values[unchecked: index]
        let bin = Int(Int32(abs(value) * inverse)) + (value < 0 ? Histogram.binCount : 0)
        unsafe table[index % 2 * size + bin] &+= 1
        zeros += value == 0 ? 1 : 0
      }
      count = 2 * size
    }
    for bin in positive.indices {
      positive[bin] += Int(counts[bin]) + Int(counts[size + bin])
      negative[bin] += Int(counts[Histogram.binCount + bin]) + Int(counts[size + Histogram.binCount + bin])
    }
    positive[0] -= zeros
    self.zeros += zeros
  }

  /// Adds the counts of another histogram.
  package mutating func merge(_ other: Histogram) {
    zeros += other.zeros
    guard let exponent = other.exponent else { return }
    grow(to: exponent)
    var other = other
    other.grow(to: self.exponent)
    for bin in positive.indices { positive[bin] += other.positive[bin] }
    for bin in negative.indices { negative[bin] += other.negative[bin] }
  }

  /// Bins with values other than 0 as the middle of each and its count, from the least to the greatest.
  package var points: [Point] {
    var result: [Point] = []
    for bin in negative.indices.reversed() where negative[bin] > 0 {
      result.append(Point(value: -(Double(bin) + 0.5) * width, count: negative[bin]))
    }
    for bin in positive.indices where positive[bin] > 0 {
      result.append(Point(value: (Double(bin) + 0.5) * width, count: positive[bin]))
    }
    return result
  }

  /// A bin.
  package struct Point: Hashable, Sendable {
    /// The middle of the bin.
    package let value: Double
    package let count: Int
  }

  /// The exponent at which magnitudes up to `peak` fit; nil for 0.
  private static func exponent(for peak: Float) -> Int? {
    guard peak > 0 else { return nil }
    let bits = binCount.trailingZeroBitCount
    return max(leastExponent, Int(peak.exponent) + 1 - bits)
  }

  /// Makes bins at least two to the power `wanted` wide.
  private mutating func grow(to wanted: Int?) {
    guard let wanted else { return }
    guard let current = exponent else {
      exponent = wanted
      positive = [Int](repeating: 0, count: Histogram.binCount)
      negative = positive
      return
    }
    guard wanted > current else { return }
    exponent = wanted
    let shift = min(wanted - current, Int.bitWidth - 1)
    Histogram.fold(&positive, by: shift)
    Histogram.fold(&negative, by: shift)
  }

  /// Moves bin `i` to bin `i >> shift`.
  private static func fold(_ bins: inout [Int], by shift: Int) {
    for bin in bins.indices.dropFirst() where bins[bin] > 0 {
      let count = bins[bin]
      bins[bin] = 0
      bins[bin >> shift] += count
    }
  }
}

extension Histogram {
  private enum CodingKeys: String, CodingKey {
    case zeros, exponent, positive, negative
  }

  /// Reads what ``encode(to:)`` wrote.
  ///
  /// - Throws: A decoding error when counts are negative or do not fit the bins.
  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    zeros = try container.decode(Int.self, forKey: .zeros)
    exponent = try container.decodeIfPresent(Int.self, forKey: .exponent)
    guard let exponent else { return }
    positive = Histogram.unpack(try container.decode([Int].self, forKey: .positive))
    negative = Histogram.unpack(try container.decode([Int].self, forKey: .negative))
    let isSound =
      (0...Histogram.largestCount).contains(zeros)
      && (Histogram.leastExponent...Histogram.greatestExponent).contains(exponent)
      && [positive, negative].allSatisfy { bins in
        bins.count == Histogram.binCount && bins.allSatisfy { (0...Histogram.largestCount).contains($0) }
      }
    guard isSound else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "the histogram's counts do not fit its bins")
      )
    }
  }

  /// Writes the counts, runs of empty bins as one negative number.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(zeros, forKey: .zeros)
    guard let exponent else { return }
    try container.encode(exponent, forKey: .exponent)
    try container.encode(Histogram.pack(positive), forKey: .positive)
    try container.encode(Histogram.pack(negative), forKey: .negative)
  }

  /// Replaces runs of `n` zeros by `-n`.
  private static func pack(_ bins: [Int]) -> [Int] {
    var result: [Int] = []
    for count in bins {
      if count == 0, let last = result.last, last < 0 {
        result[result.count - 1] = last - 1
      } else {
        result.append(count == 0 ? -1 : count)
      }
    }
    return result
  }

  /// The inverse of ``pack(_:)``; empty where a run is longer than the bins.
  private static func unpack(_ packed: [Int]) -> [Int] {
    var result: [Int] = []
    for entry in packed {
      let run = entry < 0 ? 0 - max(entry, -(binCount + 1)) : 1
      guard result.count + run <= binCount else { return [] }
      result += [Int](repeating: max(entry, 0), count: run)
    }
    return result
  }
}
