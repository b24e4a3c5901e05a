internal import BinaryIO
internal import GraphIR

/// Seeded Gaussian noise in place of samples, for calibration without data.
struct GaussianSource: SampleSource {
  let count: Int
  let seed: UInt64
  let mean: Float
  let deviation: Float
  private let inputs: [(input: ModelInput, shape: [Int])]

  /// - Parameters:
  ///   - inputs: What the model takes.
  ///   - size: Of images, where the model leaves it open.
  ///   - mean: Of values of float inputs.
  ///   - deviation: Of values of float inputs.
  init(
    inputs: [ModelInput],
    size: Preprocessing.Size?,
    mean: Float,
    deviation: Float,
    count: Int,
    seed: UInt64
  ) throws(Refusal) {
    self.count = count
    self.seed = seed
    self.mean = mean
    self.deviation = deviation
    try Noise.check(inputs)
    self.inputs = inputs.map { ($0, GaussianSource.shape(of: $0.type, size)) }
  }

  var hasLabels: Bool { false }
  var summary: String {
    "\(count) samples of \(Dataset.noiseName), seed \(seed), mean \(mean), deviation \(deviation), no real data"
  }

  func name(_ index: Int) -> String { "noise \(index)" }

  func sample(_ index: Int) throws(Refusal) -> Sample {
    var random = Noise.generator(seed: seed, sample: index)
    var tensors: [String: Tensor] = [:]
    for (input, shape) in inputs {
      let isImage = input.type.dtype == .uint8 && shape.count == 4
      let noise = try Noise.tensor(isImage ? .float32 : input.type.dtype, shape, input.integers, &random)
      guard isImage || input.type.dtype.isFloatingPoint else {
        tensors[input.name] = noise
        continue
      }
      let values = (noise.floatValues() ?? []).map { $0 * deviation + mean }
      tensors[input.name] =
        isImage
        ? try Tensor.make(.uint8, shape, values.map { UInt8(min(max($0.rounded(), 0), 255)) })
        : try Tensor.floats(values, shape).converted(to: input.type.dtype)
    }
    return Sample(inputs: tensors, label: nil)
  }

  func fingerprint(_ index: Int, into hash: inout Fingerprint) throws(Refusal) {
    hash.add(summary)
    hash.add(index)
  }

  private static func shape(of type: TensorType, _ size: Preprocessing.Size?) -> [Int] {
    guard type.rank > 0 else { return [] }
    var shape = [1] + type.dims.dropFirst().map { $0.value ?? Noise.symbolicExtent }
    guard type.rank == 4 else { return shape }
    let first = type.dims[1].value == nil ? 1 : 2
    for (offset, side) in [size?.height, size?.width].enumerated()
    where type.dims[first + offset].value == nil {
      shape[first + offset] = side ?? Noise.freeSide
    }
    return shape
  }
}
