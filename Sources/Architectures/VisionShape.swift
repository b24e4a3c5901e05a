import GraphIR

/// What a checkpoint tells of a vision transformer; standard values where it does not.
struct VisionShape {
  let names: VisionNames
  let width: Int
  let patch: Int
  let heads: Int?
  let epsilon: Float
  /// Patches along a side of the images that the positions were made for.
  let side: Int
  /// Patches along the sides of the input.
  let grid: (rows: Int, columns: Int)
  let size: ImageSize
  /// The tokens before the patches, with how many there are of each.
  let tokens: [(name: String, count: Int)]
  /// How many of the tokens before the patches have positions: none, the first, or all.
  let placed: Int
  /// Whether blocks have LayerScale.
  let isScaled: Bool
  /// Whether queries, keys and values have biases.
  let hasQueryBias: Bool
  private let hasMaskToken: Bool
  private let settings: ModelSettings

  var prefixCount: Int { tokens.reduce(0) { $0 + $1.count } }
  var tokenCount: Int { prefixCount + grid.rows * grid.columns }

  init(_ checkpoint: Checkpoint) {
    let names = VisionNames(checkpoint)
    self.names = names
    settings = checkpoint.settings
    width = checkpoint.extent("\(names.patches).weight", axis: 0) ?? 768
    patch = min(checkpoint.extent("\(names.patches).weight", axis: 2) ?? 16, 64)
    heads = VisionShape.heads(width, checkpoint.settings)
    epsilon = checkpoint.settings.epsilon ?? (names.library == .transformersViT ? 1e-12 : 1e-6)
    hasMaskToken = checkpoint[names.maskToken] != nil
    isScaled = names.blocks.contains { checkpoint["\($0.scale1.layer).\($0.scale1.tensor)"] != nil }
    hasQueryBias = names.blocks.contains { block in
      [block.qkv, block.query].contains { checkpoint["\($0).bias"] != nil }
    }
    var tokens = [(name: names.classToken, count: 1)]
    if checkpoint[names.distillationToken] != nil { tokens.append((names.distillationToken, 1)) }
    let registers = names.registers.first { checkpoint[$0] != nil }
    if let registers, let count = checkpoint.extent(registers, axis: 1), count < 1024 {
      tokens.append((registers, count))
    }
    self.tokens = tokens
    let prefix = tokens.reduce(0) { $0 + $1.count }
    let positions = min(checkpoint.extent(names.positions, axis: 1) ?? 196, 1 << 16)
    func root(_ value: Int) -> Int { Int(Double(max(value, 1)).squareRoot()) }
    placed = [0, 1, prefix].first { root(positions - $0) * root(positions - $0) == positions - $0 } ?? 0
    side = root(positions - placed)
    let native = ImageSize(height: side * patch, width: side * patch)
    size = checkpoint.inputSize ?? native
    grid = (size.height / patch, size.width / patch)
  }

  /// What the settings say, otherwise heads of 64 channels; nil where neither divides the width.
  private static func heads(_ width: Int, _ settings: ModelSettings) -> Int? {
    guard let heads = settings.heads, settings.width ?? width == width else {
      return width % 64 == 0 ? width / 64 : nil
    }
    return heads > 0 && width % heads == 0 ? heads : nil
  }

  /// How the library that made the checkpoint resamples its positions.
  var filter: PositionGrid.Filter {
    let hasRegisters = tokens.contains { names.registers.contains($0.name) }
    switch names.library {
    case .transformersViT: return .interpolated(scaleOffset: 0)
    case .transformersDINO: return hasRegisters ? .antialiased : .interpolated(scaleOffset: 0)
    // Of the layouts with timm's names, only that of the DINOv2 repository has a mask token.
    case .timm: return hasMaskToken && !hasRegisters ? .interpolated(scaleOffset: 0.1) : .antialiased
    }
  }

  /// Of the settings, or that of DINOv2 for a network with scaled layers.
  var preprocessing: String? {
    if let given = settings.preprocessing, size == ImageSize(height: side * patch, width: side * patch) {
      return given
    }
    guard isScaled else { return nil }
    let isSquare = size.height == size.width
    let extent = isSquare ? "\(size.height)" : "\(size.height)x\(size.width)"
    return
      "resize=\(extent) crop=\(extent) scale=255 mean=0.485,0.456,0.406 std=0.229,0.224,0.225 channels=rgb"
  }
}
