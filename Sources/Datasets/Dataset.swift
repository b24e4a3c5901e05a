public import BinaryIO
internal import GraphIR
private import Safetensors

/// Samples for calibration and verification: opened lazily, decoded one at a time, in a fixed order.
public struct Dataset: Sendable {
  private let source: any SampleSource
  private let indices: [Int]

  init(_ source: any SampleSource) {
    self.source = source
    indices = Array(0..<source.count)
  }

  private init(_ source: any SampleSource, _ indices: [Int]) {
    self.source = source
    self.indices = indices
  }

  /// Opens real samples.
  ///
  /// - Parameters:
  ///   - path: A folder of JPEG and PNG images (class subfolders in order of their names, or a `labels.csv`, or
  ///     images alone); an `.npz` or `.safetensors` file with arrays named like the inputs, with a leading sample
  ///     axis, and optionally `labels`; or an `.npy` file for a model with one input.
  ///   - inputs: What the model takes.
  ///   - preprocessing: How images become inputs; required for images, unused for arrays.
  /// - Throws: A refusal when the samples cannot be read or do not fit the model.
  public static func open(
    _ path: String,
    for inputs: [ModelInput],
    preprocessing: Preprocessing?
  ) throws(Refusal) -> Dataset {
    guard !Folder.isFolder(path) else { return try openImages(path, inputs, preprocessing) }
    let suffix = path.split(separator: "/").last?.split(separator: ".").dropFirst().last?.lowercased()
    switch suffix {
    case "npz":
      let wanted = Set(inputs.map(\.name) + [ArraySource.labelsName, "arr_0"])
      let scratch = StorageAllocator.spilling(to: Folder.temporary)
      let contents = try NPZFile.read(path, in: scratch) { wanted.contains($0) }
      return Dataset(try ArraySource(file: path, arrays: contents.arrays, names: contents.names, for: inputs))
    case "npy":
      let array = try NPYFile.read(file: path)
      guard let input = inputs.first, inputs.count == 1 else {
        throw unusable(path, "holds one array, the model takes \(inputs.count) inputs", "give an .npz file")
      }
      return Dataset(try ArraySource(file: path, arrays: [(input.name, array)], names: [], for: inputs))
    case "safetensors":
      let file = try SafetensorsFile.open(path)
      return Dataset(
        try ArraySource(file: path, arrays: file.entries, names: file.entries.map(\.name), for: inputs)
      )
    default:
      guard Folder.exists(path) else { throw unusable(path, "does not exist", "check the path") }
      throw unusable(path, "is no data set", "give a folder of images, or an .npz, .npy or .safetensors file")
    }
  }

  /// Makes samples up; see the label in ``summary``.
  public static func synthetic(
    for inputs: [ModelInput],
    preprocessing: Preprocessing?,
    count: Int = 16,
    seed: UInt64 = 1
  ) throws(Refusal) -> Dataset {
    Dataset(try SyntheticSource(inputs: inputs, preprocessing: preprocessing, count: count, seed: seed))
  }

  /// What ``summary`` calls Gaussian noise.
  public static let noiseName = "synthetic noise"

  /// Makes Gaussian noise, for calibration without data.
  ///
  /// - Parameters:
  ///   - inputs: What the model takes; inputs of integers get what ``ModelInput/integers`` says or integers below 16, u8 images clamped
  ///     values.
  ///   - size: Of images, where the model leaves it open.
  ///   - mean: Of float values.
  ///   - deviation: Of float values.
  ///   - count: How many samples.
  ///   - seed: Tells one noise from another.
  /// - Throws: A refusal for inputs that cannot be made up.
  public static func noise(
    for inputs: [ModelInput],
    size: Preprocessing.Size? = nil,
    mean: Float = 0,
    deviation: Float = 1,
    count: Int = 32,
    seed: UInt64 = 1
  ) throws(Refusal) -> Dataset {
    Dataset(
      try GaussianSource(
        inputs: inputs,
        size: size,
        mean: mean,
        deviation: deviation,
        count: count,
        seed: seed
      )
    )
  }

  private static func openImages(
    _ path: String,
    _ inputs: [ModelInput],
    _ preprocessing: Preprocessing?
  ) throws(Refusal) -> Dataset {
    let list = try ImageList(path)
    guard let preprocessing else {
      throw Refusal(
        .usage,
        file: path,
        at: "folder",
        rule: "D1",
        "holds images, and neither the model nor the command says how they become inputs",
        remedy:
          "give --preprocess imagenet, or --scale, --mean, --std, --resize, --crop as the model was trained"
      )
    }
    return Dataset(ImageSource(list: list, input: try ImageInput(inputs, preprocessing)))
  }

  private static func unusable(_ path: String, _ problem: String, _ remedy: String) -> Refusal {
    Refusal(.unreadable, file: path, at: "data", rule: "D9", problem, remedy: remedy)
  }

  /// How many samples there are.
  public var count: Int { indices.count }

  /// Whether every sample has a label.
  public var hasLabels: Bool { source.hasLabels }

  /// Whether the samples were made up.
  public var isSynthetic: Bool { source is SyntheticSource || source is GaussianSource }

  /// How images become inputs; nil for other samples.
  package var preprocessing: Preprocessing? { (source as? ImageSource)?.input.preprocessing }

  /// For people, such as `400 images of 10 classes`; says `synthetic` where samples were made up.
  public var summary: String {
    count == source.count ? source.summary : "\(count) of \(source.summary)"
  }

  /// A name for messages: the file, or the number of the sample.
  public func name(_ index: Int) -> String { source.name(indices[index]) }

  /// Reads one sample.
  ///
  /// - Throws: A refusal naming the file when it cannot be decoded or does not fit the model.
  public func sample(_ index: Int) throws(Refusal) -> Sample { try source.sample(indices[index]) }

  /// A hash of the contents, labels and preprocessing of all samples in their order: 16 hexadecimal digits.
  ///
  /// Reads all samples.
  public func digest() throws(Refusal) -> String {
    var hash = Fingerprint()
    for index in indices { try source.fingerprint(index, into: &hash) }
    return hash.text
  }

  /// A part of the samples: every `stride`-th one from number `offset` on, at most `limit` of them.
  public func subset(from offset: Int = 0, every stride: Int = 1, limit: Int = .max) -> Dataset {
    precondition(offset >= 0 && stride >= 1 && limit >= 0)
    let chosen = Swift.stride(from: offset, to: indices.count, by: stride).prefix(limit)
    return Dataset(source, chosen.map { indices[$0] })
  }

  /// The samples at these positions, in this order.
  public func selecting(_ positions: [Int]) -> Dataset { Dataset(source, positions.map { indices[$0] }) }

  /// The samples that are not in `subset(from:every:)` of the same arguments.
  public func complement(from offset: Int = 0, every stride: Int) -> Dataset {
    precondition(offset >= 0 && stride >= 1)
    let left = indices.indices.filter { $0 < offset || ($0 - offset) % stride != 0 }
    return Dataset(source, left.map { indices[$0] })
  }

  /// The samples that ``spread(_:)`` with the same limit does not choose.
  public func leavingOut(spread limit: Int) -> Dataset {
    guard limit < count else { return Dataset(source, []) }
    let chosen = Set((0..<max(0, limit)).map { $0 * count / limit })
    return Dataset(source, indices.indices.filter { !chosen.contains($0) }.map { indices[$0] })
  }

  /// `limit` samples spread evenly, so that every class of a sorted folder is met.
  public func spread(_ limit: Int) -> Dataset {
    guard limit < count else { return self }
    return Dataset(source, (0..<max(0, limit)).map { indices[$0 * count / limit] })
  }
}
