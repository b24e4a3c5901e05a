internal import BinaryIO
internal import Quantization

/// What calibration saw, as an artifact: made by `qconvert calibrate`, merged, and used by a conversion.
///
/// Any observer can choose its ranges from it. Statistics of the shards of a data set merge into exactly those of one run.
public struct CalibrationStatistics: Hashable, Sendable, Codable {
  /// A sample that was seen.
  public struct SampleDigest: Hashable, Sendable, Codable {
    /// Its number in the whole data set.
    public let sample: Int
    /// A hash of its contents and preprocessing.
    public let digest: String
  }

  /// One value of the prepared float network.
  struct Entry: Hashable, Sendable, Codable {
    let name: String
    var statistics: ValueStatistics
  }

  /// A value that linear layers read.
  struct ChannelEntry: Hashable, Sendable, Codable {
    let name: String
    var sums: ChannelSums
  }

  /// The version of the artifact.
  private static let currentFormat = "qconvert-calibration-1"

  private let format: String
  /// SHA-256 of the prepared float network.
  public let model: String
  /// The whole data set, for people.
  public let data: String
  /// How images became inputs, as the text form of a preprocessing.
  public let preprocessing: String?
  /// The samples seen, in order of their numbers.
  public private(set) var samples: [SampleDigest]
  private(set) var values: [Entry]
  /// Means of the channels that linear layers read; empty in statistics of noise and of earlier versions.
  private(set) var channels: [ChannelEntry]

  init(
    model: String,
    data: String,
    preprocessing: String?,
    samples: [SampleDigest],
    values: [Entry],
    channels: [ChannelEntry]
  ) {
    format = CalibrationStatistics.currentFormat
    self.model = model
    self.data = data
    self.preprocessing = preprocessing
    self.samples = samples
    self.values = values
    self.channels = channels
  }

  /// Takes in the statistics of other samples.
  ///
  /// - Throws: A refusal when they belong to another network or other data, or share a sample.
  public mutating func merge(_ other: CalibrationStatistics) throws {
    guard model == other.model, values.map(\.name) == other.values.map(\.name),
      channels.map(\.name) == other.channels.map(\.name)
    else {
      throw CalibrationStatistics.refusal(
        "belong to different networks",
        "calibrate all shards with the same model and the same --relu6 and --equalize"
      )
    }
    guard data == other.data, preprocessing == other.preprocessing else {
      throw CalibrationStatistics.refusal(
        "come from different data (\(data); \(other.data))",
        "calibrate all shards on the same data, with the same --samples and preprocessing"
      )
    }
    if let common = Set(samples.map(\.sample)).intersection(other.samples.map(\.sample)).min() {
      throw CalibrationStatistics.refusal(
        "both hold sample \(common)",
        "merge every shard once, all made with the same number of shards"
      )
    }
    samples = (samples + other.samples).sorted { $0.sample < $1.sample }
    for index in values.indices { values[index].statistics.merge(other.values[index].statistics) }
    for index in channels.indices { channels[index].sums.merge(other.channels[index].sums) }
  }

  /// The refusal of a file that holds no statistics.
  public static func unreadable(_ file: String, _ problem: String) -> any Error {
    refusal("cannot be read: \(Refusal.printable(problem, limit: 200))", "make them with qconvert calibrate")
      .inFile(file)
  }

  /// The refusal of a file that cannot be written.
  public static func unwritable(_ file: String) -> any Error {
    Refusal(
      .output,
      file: file,
      at: "output",
      rule: "IO2",
      "cannot be written",
      remedy: "check the folder, its permissions and the free space"
    )
  }

  /// A hash of the samples, the same for one run and for merged shards: 16 hexadecimal digits.
  var digest: String {
    let lines = samples.map { "\($0.sample) \($0.digest)\n" }.joined()
    return String(ModelHash.hexadecimal(SHA256.digest(Array(lines.utf8))).prefix(16))
  }

  /// For metadata and reports.
  func text(observer: String) -> String {
    "\(observer), \(samples.count) samples (\(data)), digest \(digest)"
  }

  /// Drops the means of channels: those of noise tell nothing.
  mutating func forgetChannels() { channels = [] }

  /// The means of the channels that linear layers read, by name of the value.
  var channelMeans: [String: [Double]] {
    Dictionary(channels.map { ($0.name, $0.sums.means) }, uniquingKeysWith: { first, _ in first })
  }

  /// The ranges an observer chooses.
  ///
  /// - Throws: A refusal when the statistics belong to another network, or a value has no finite range.
  func ranges(for model: String, by observer: any Observer) throws(Refusal) -> ActivationRanges {
    guard self.model == model else {
      throw CalibrationStatistics.refusal(
        "belong to another network (\(self.model.prefix(16)), this one is \(model.prefix(16)))",
        "calibrate this model, with the same --relu6, --equalize and --disable-pass as the conversion"
      )
    }
    var ranges = ActivationRanges()
    for value in values { try ranges.set(value.name, of: value.statistics, by: observer) }
    return ranges
  }

  private static func refusal(_ problem: String, _ remedy: String) -> Refusal {
    Refusal(.invalid, at: "calibration statistics", rule: "K8", problem, remedy: remedy)
  }
}

extension CalibrationStatistics {
  /// - Throws: A decoding error, or a refusal when numbers contradict each other.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    format = try container.decode(String.self, forKey: .format)
    guard format == CalibrationStatistics.currentFormat else {
      throw CalibrationStatistics.refusal(
        "have the format \(Refusal.quoted(format)), this version reads \(CalibrationStatistics.currentFormat)",
        "calibrate again with this version"
      )
    }
    model = try container.decode(String.self, forKey: .model)
    data = try container.decode(String.self, forKey: .data)
    preprocessing = try container.decodeIfPresent(String.self, forKey: .preprocessing)
    samples = try container.decode([SampleDigest].self, forKey: .samples)
    values = try container.decode([Entry].self, forKey: .values)
    channels = try container.decodeIfPresent([ChannelEntry].self, forKey: .channels) ?? []
    let numbers = samples.map(\.sample)
    guard numbers == Set(numbers).sorted(), numbers.allSatisfy({ $0 >= 0 }),
      values.allSatisfy({ $0.statistics.isSound && $0.statistics.samples == samples.count }),
      channels.allSatisfy({ $0.sums.samples == samples.count })
    else {
      throw CalibrationStatistics.refusal("hold numbers that contradict each other", "calibrate again")
    }
  }
}
