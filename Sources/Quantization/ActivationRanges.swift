package import BinaryIO

/// What calibration learned: the range of each observed value, by its name in the prepared float graph.
public struct ActivationRanges: Hashable, Sendable, Codable {
  /// The range of one value.
  public struct Entry: Hashable, Sendable, Codable {
    /// The value's name.
    public let name: String
    /// The lower bound, finite.
    public let low: Float
    /// The upper bound, finite and at least ``low``.
    public let high: Float
    /// Samples that were observed.
    public let samples: Int

    public init(name: String, low: Float, high: Float, samples: Int) {
      self.name = name
      self.low = low
      self.high = high
      self.samples = samples
    }

    public var range: ClosedRange<Float> { low...max(low, high) }
  }

  private var table: [String: Entry] = [:]

  public init() {}

  /// All ranges, sorted by name.
  public var entries: [Entry] { table.values.sorted { $0.name < $1.name } }

  public var isEmpty: Bool { table.isEmpty }

  public subscript(name: String) -> Entry? { table[name] }

  /// Adds or replaces a range.
  ///
  /// - Throws: A refusal (K7) when a bound is not finite or the bounds are swapped.
  package mutating func set(_ entry: Entry) throws(Refusal) {
    guard entry.low.isFinite, entry.high.isFinite, entry.low <= entry.high else {
      throw Refusal(
        .invalid,
        at: "range of value \(Refusal.quoted(entry.name))",
        rule: "K7",
        "is \(entry.low)...\(entry.high), which is no finite range",
        remedy: "calibrate again"
      )
    }
    table[entry.name] = entry
  }

  /// Adds the range an observer finds.
  ///
  /// - Throws: A refusal (K7) naming the value when there is none.
  package mutating func set(
    _ name: String,
    of statistics: ValueStatistics,
    by observer: any Observer
  ) throws(Refusal) {
    let range: ClosedRange<Float>
    do { range = try observer.range(of: statistics) } catch {
      throw error.at("value \(Refusal.quoted(name))")
    }
    try set(Entry(name: name, low: range.lowerBound, high: range.upperBound, samples: statistics.samples))
  }

  public init(from decoder: any Decoder) throws {
    for entry in try [Entry](from: decoder) { try set(entry) }
  }

  public func encode(to encoder: any Encoder) throws { try entries.encode(to: encoder) }
}
