internal import BinaryIO
internal import Datasets
internal import GraphIR

extension QConvert {
  /// Which samples a verification runs on.
  public struct VerifyData: Sendable {
    /// A folder or file of samples; nil: seeded inputs made from the declared preprocessing.
    public var path: String?
    /// At most this many samples, spread evenly.
    public var samples: Int?
    /// Leave out the samples that a calibration with `samples` equal to this number uses.
    public var holdOut: Int?
    /// The text form of a preprocessing; nil: the one stored in a model.
    public var preprocessing: String?
    /// What happens when the samples are not like those of the training.
    public var preflight = PreflightMode.warn

    public init() {}
  }

  /// Runs two networks on the same samples and compares them.
  ///
  /// - Parameters:
  ///   - reference: The file that is right by definition.
  ///   - candidate: The file under test.
  ///   - data: The samples.
  ///   - options: What is compared, and what counts as passed.
  ///   - architecture: The architecture of bare checkpoints; nil: recognised.
  ///   - inputSize: The size of images for a bare checkpoint, `N` or `HxW`; nil: the usual one.
  ///   - progress: Called with the samples done and of all.
  /// - Throws: A refusal when a file cannot be used or the networks do not correspond.
  public static func verify(
    _ reference: String,
    _ candidate: String,
    data: VerifyData = VerifyData(),
    options: VerifyOptions = VerifyOptions(),
    architecture: String? = nil,
    inputSize: String? = nil,
    progress: ((Int, Int) -> Void)? = nil
  ) throws -> VerifyReport {
    let left = try Loader.loadOneOfSeveral(
      reference,
      architecture: architecture,
      inputSize: inputSize
    )
    let right = try Loader.loadOneOfSeveral(
      candidate,
      architecture: architecture,
      inputSize: inputSize
    )
    let declared =
      data.preprocessing ?? right.metadata[MetadataKey.preprocessing]
      ?? left.metadata[MetadataKey.preprocessing]
    let preprocessing = try declared.map { (text) throws(Refusal) in try Preprocessing.parse(text) }
    let inputs = ModelInput.inputs(of: left)
    var dataset: Dataset
    if let path = data.path {
      dataset = try Dataset.open(path, for: inputs, preprocessing: preprocessing)
      if let holdOut = data.holdOut { dataset = dataset.leavingOut(spread: holdOut) }
      if let samples = data.samples { dataset = dataset.spread(samples) }
    } else {
      dataset = try Dataset.synthetic(for: inputs, preprocessing: preprocessing, count: data.samples ?? 16)
    }
    let preflight = try examine(dataset, [left, right], data)
    var report = try Verifier.verify(
      reference: left,
      candidate: right,
      dataset: dataset,
      options: options,
      progress: progress
    )
    report.preflight = preflight
    if SyntheticNoise.isNamed(in: right.metadata[MetadataKey.calibration]) {
      report.findings.append("The candidate was calibrated on \(Dataset.noiseName), not on data.")
    }
    return report
  }

  /// Compares the samples with what the first of the networks that remembers its training expects.
  private static func examine(
    _ dataset: Dataset,
    _ graphs: [Graph],
    _ data: VerifyData
  ) throws(Refusal) -> PreflightReport? {
    guard data.preflight != .off, let path = data.path, dataset.count > 0 else { return nil }
    let declared = graphs.reversed().lazy.compactMap { $0.metadata[MetadataKey.preprocessing] }.first
    let looks = graphs.lazy.map { Preflight($0, declared: declared, isCalibration: false) }
    guard let chosen = looks.first(where: \.hasEvidence) ?? looks.first else { return nil }
    let report = try chosen.report(on: dataset)
    if data.preflight == .strict, let refusal = report?.refusal(of: "data") { throw refusal.inFile(path) }
    return report
  }
}
