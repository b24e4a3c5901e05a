/// What files beside a checkpoint say of its network; nil where they say nothing.
public struct ModelSettings: Sendable {
  /// How a sentence encoder makes one vector of its tokens.
  public struct SentenceHead: Hashable, Sendable {
    /// `mean` or `cls`; other poolings are refused by name.
    public var pooling: String
    /// Whether the vector is divided by its length.
    public var normalizes: Bool
    /// A further module, which no architecture has.
    public var unknownModule: String?

    public init(pooling: String, normalizes: Bool, unknownModule: String? = nil) {
      self.pooling = pooling
      self.normalizes = normalizes
      self.unknownModule = unknownModule
    }
  }

  /// The family that the network belongs to, as transformers calls it, such as `roberta`.
  public var family: String?
  /// Channels of a token.
  public var width: Int?
  /// Attention heads.
  public var heads: Int?
  /// Added to the variance by layer normalisation.
  public var epsilon: Float?
  /// The activation between the layers of a perceptron, as transformers calls it.
  public var activation: String?
  /// How positions enter, as transformers calls it.
  public var positions: String?
  public var sentence: SentenceHead?
  /// The text form of the preprocessing of images.
  public var preprocessing: String?

  public init() {}
}

/// Height and width of images in pixels.
public struct ImageSize: Hashable, Sendable {
  public var height: Int
  public var width: Int

  public init(height: Int, width: Int) {
    self.height = height
    self.width = width
  }

  /// Reads `N` or `HxW`, extents from 1 to 65,535.
  public init?(_ text: String) {
    let parts = text.split(separator: "x", omittingEmptySubsequences: false)
    let extents = parts.compactMap { part in
      part.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt16(part).map(Int.init) : nil
    }
    guard (1...2).contains(parts.count), extents.count == parts.count, extents.allSatisfy({ $0 > 0 }),
      let height = extents.first, let width = extents.last
    else { return nil }
    self.init(height: height, width: width)
  }
}
