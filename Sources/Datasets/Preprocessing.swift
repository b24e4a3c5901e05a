internal import BinaryIO

/// How an image becomes a model's input: declared by the user or stored in the model, never guessed.
///
/// Steps, in order: decode to RGB (alpha is dropped; grey is repeated, or kept where the model takes one channel) ->
/// ``resize`` -> ``crop`` -> `(pixel / scale - mean) / std` in 32-bit floats, pixels being 0...255 -> order of
/// ``channels`` -> the model's layout. A part that is absent does nothing.
public struct Preprocessing: Hashable, Sendable {
  /// A new size: bilinear, antialiased when shrinking, to the same pixels as Pillow's `BILINEAR`.
  public enum Resize: Hashable, Sendable {
    /// The shorter side becomes this long, the longer one in proportion, rounded down.
    case shorterSide(Int)
    /// Exactly this size, whatever the proportions were.
    case exact(Size)
  }

  /// Extents of an image in pixels.
  public struct Size: Hashable, Sendable {
    public var height: Int
    public var width: Int

    public init(height: Int, width: Int) {
      self.height = height
      self.width = width
    }
  }

  /// The order in which the model takes the colours.
  public enum Channels: String, Hashable, Sendable, CaseIterable {
    case rgb
    case bgr
  }

  public var resize: Resize?
  /// The window cut out of the middle.
  public var crop: Size?
  /// Divides every pixel, before `mean` and `std`: 255 for models that take 0...1.
  public var scale: Float = 1
  /// Subtracted, in units of the scaled pixel: empty, one value for all channels, or one each for red, green, blue.
  public var mean: [Float] = []
  /// Divides what is left; as many values as ``mean`` allows.
  public var std: [Float] = []
  public var channels = Channels.rgb

  public init(
    resize: Resize? = nil,
    crop: Size? = nil,
    scale: Float = 1,
    mean: [Float] = [],
    std: [Float] = [],
    channels: Channels = .rgb
  ) {
    self.resize = resize
    self.crop = crop
    self.scale = scale
    self.mean = mean
    self.std = std
    self.channels = channels
  }

  /// What torchvision's and timm's ImageNet classifiers were trained with.
  public static let imagenet = Preprocessing(
    resize: .shorterSide(256),
    crop: Size(height: 224, width: 224),
    scale: 255,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225]
  )

  /// The presets by name, for command lines and messages.
  public static let presets: [(name: String, value: Preprocessing)] = [("imagenet", imagenet)]

  /// Refuses values that cannot be computed with.
  func validate() throws(Refusal) {
    guard scale.isFinite, scale > 0 else {
      throw Preprocessing.refusal("scale", "is \(scale), must be a positive number")
    }
    for (name, values) in [("mean", mean), ("std", std)] {
      guard [0, 1, 3].contains(values.count) else {
        throw Preprocessing.refusal(
          name,
          "has \(values.count) values, must have 1, or 3 in the order red, green, blue"
        )
      }
      guard values.allSatisfy(\.isFinite) else { throw Preprocessing.refusal(name, "is not finite") }
    }
    guard std.allSatisfy({ $0 > 0 }) else { throw Preprocessing.refusal("std", "must be above 0") }
  }

  static func refusal(_ part: String, _ problem: String) -> Refusal {
    Refusal(
      .usage,
      at: "preprocessing '\(Refusal.printable(part))'",
      rule: "D1",
      problem,
      remedy:
        "write it as in 'resize=256 crop=224 scale=255 mean=0.485,0.456,0.406 std=0.229,0.224,0.225 channels=rgb'"
    )
  }
}
