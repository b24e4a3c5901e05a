internal import BinaryIO
internal import GraphIR

/// Seeded samples without any data: smooth random images for image inputs, noise for others.
///
/// They show that two models compute the same function, not that either is any good.
struct SyntheticSource: SampleSource {
  let count: Int
  let seed: UInt64
  private let inputs: [ModelInput]
  private let image: ImageInput?
  private let imageSize: Preprocessing.Size

  /// - Parameter preprocessing: How images are normalised; without it they have about mean 0 and deviation 1.
  init(inputs: [ModelInput], preprocessing: Preprocessing?, count: Int, seed: UInt64) throws(Refusal) {
    self.inputs = inputs
    self.count = count
    self.seed = seed
    var normalisation = preprocessing ?? Preprocessing(scale: 1, mean: [127.5], std: [52])
    if inputs.first?.type.dtype == .uint8 { normalisation = Preprocessing() }
    normalisation.resize = nil
    normalisation.crop = nil
    let declared = preprocessing.flatMap { try? ImageInput(inputs, $0) }
    image = try? ImageInput(inputs, normalisation)
    let free = Preprocessing.Size(height: Noise.freeSide, width: Noise.freeSide)
    imageSize = declared?.size ?? image?.size ?? free
    try Noise.check(inputs)
  }

  var hasLabels: Bool { false }
  var summary: String {
    "\(count) synthetic samples, seed \(seed): \(image == nil ? "noise" : "smooth random images"), no real data"
  }

  func name(_ index: Int) -> String { "synthetic \(index)" }

  func sample(_ index: Int) throws(Refusal) -> Sample {
    var random = Noise.generator(seed: seed, sample: index)
    if let image {
      return Sample(inputs: [image.name: try image.tensor(of: smoothImage(&random))], label: nil)
    }
    var tensors: [String: Tensor] = [:]
    for input in inputs { tensors[input.name] = try noise(input, &random) }
    return Sample(inputs: tensors, label: nil)
  }

  func fingerprint(_ index: Int, into hash: inout Fingerprint) throws(Refusal) {
    hash.add(seed)
    hash.add(index)
    let made = try sample(index)
    for input in inputs {
      if let tensor = made.inputs[input.name] { hash.add(tensor.bytes) }
    }
  }

  /// Random colours at a coarse and a fine grid, blended and enlarged.
  private func smoothImage(_ random: inout SplitMix64) -> Image {
    let coarse = noiseImage(side: 4, &random)
    let fine = noiseImage(side: 16, &random)
    let pixels = zip(coarse.pixels, fine.pixels).map { UInt8((2 * Int($0) + Int($1)) / 3) }
    return Image(width: coarse.width, height: coarse.height, channels: 3, pixels: pixels)
  }

  private func noiseImage(side: Int, _ random: inout SplitMix64) -> Image {
    let pixels = (0..<(side * side * 3)).map { _ in UInt8(truncatingIfNeeded: random.next() >> 32) }
    let small = Image(width: side, height: side, channels: 3, pixels: pixels)
    return ImageResizer.resize(small, height: imageSize.height, width: imageSize.width)
  }

  private func noise(_ input: ModelInput, _ random: inout SplitMix64) throws(Refusal) -> Tensor {
    let extents = input.type.dims.dropFirst().map { $0.value ?? Noise.symbolicExtent }
    let shape = input.type.rank == 0 ? [] : [1] + extents
    return try Noise.tensor(input.type.dtype, shape, input.integers, &random)
  }
}
