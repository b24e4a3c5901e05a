internal import BinaryIO
internal import GraphIR

/// The model input that an image fills, and how.
struct ImageInput: Sendable {
  private enum Layout {
    case channelsFirst
    case channelsLast
  }

  let name: String
  let preprocessing: Preprocessing
  private let layout: Layout
  private let dtype: DType
  private let channels: Int
  private let height: Int?
  private let width: Int?

  /// Checks that one image can fill all inputs of the model.
  init(_ inputs: [ModelInput], _ preprocessing: Preprocessing) throws(Refusal) {
    let listed = inputs.map(\.description).joined(separator: ", ")
    guard inputs.count == 1, let input = inputs.first, let shape = ImageInput.shape(of: input.type) else {
      throw ImageInput.refusal(
        "images fill one input of rank 4 with 1 or 3 channels, the model takes \(Refusal.printable(listed, limit: 200))",
        remedy: "give an .npz file with arrays named like the inputs"
      )
    }
    guard [.float32, .float16, .uint8].contains(input.type.dtype) else {
      throw ImageInput.refusal(
        "images fill inputs of type f32, f16 or u8, the model takes \(input.type.dtype.name)",
        remedy: "give an .npz file with arrays of that type"
      )
    }
    for (part, values) in [("mean", preprocessing.mean), ("std", preprocessing.std)]
    where values.count > 1 && values.count != shape.channels {
      throw ImageInput.refusal(
        "\(part) has \(values.count) values, the model takes \(shape.channels) channel",
        remedy: "give one value"
      )
    }
    let isPlain = preprocessing.scale == 1 && preprocessing.mean.isEmpty && preprocessing.std.isEmpty
    guard input.type.dtype != .uint8 || isPlain else {
      throw ImageInput.refusal("a u8 input takes pixels as they are", remedy: "leave out scale, mean and std")
    }
    name = input.name
    dtype = input.type.dtype
    self.preprocessing = preprocessing
    (layout, channels, height, width) = shape
  }

  private static func shape(
    of type: TensorType
  ) -> (layout: Layout, channels: Int, height: Int?, width: Int?)? {
    guard type.rank == 4 else { return nil }
    let dims = type.dims.map(\.value)
    if let channels = dims[1], channels == 1 || channels == 3 {
      return (.channelsFirst, channels, dims[2], dims[3])
    }
    if let channels = dims[3], channels == 1 || channels == 3 {
      return (.channelsLast, channels, dims[1], dims[2])
    }
    return nil
  }

  /// The size that preprocessing or the model fixes; nil where neither does.
  var size: Preprocessing.Size? {
    if let height, let width { return Preprocessing.Size(height: height, width: width) }
    if let crop = preprocessing.crop { return crop }
    if case .exact(let size)? = preprocessing.resize { return size }
    return nil
  }

  /// The tensor of a decoded image, with a leading sample axis of 1.
  func tensor(of image: Image) throws(Refusal) -> Tensor {
    let fitted = try fit(channels == 1 ? image.grey : image.colour)
    let shape =
      switch layout {
      case .channelsFirst: [1, channels, fitted.height, fitted.width]
      case .channelsLast: [1, fitted.height, fitted.width, channels]
      }
    switch dtype {
    case .uint8: return try fill(dtype, shape, fitted, valueTables { pixel, _ in UInt8(pixel) })
    case .float16: return try fill(dtype, shape, fitted, valueTables { Float16(normalised($0, $1)) })
    default: return try fill(dtype, shape, fitted, valueTables { normalised($0, $1) })
    }
  }

  /// Resizes and crops to the model's size, or refuses.
  private func fit(_ image: Image) throws(Refusal) -> Image {
    let resized =
      switch preprocessing.resize {
      case .shorterSide(let side)?: try resize(image, shorterSide: side)
      case .exact(let size)?: ImageResizer.resize(image, height: size.height, width: size.width)
      case nil: image
      }
    let result = try crop(resized)
    guard height ?? result.height == result.height, width ?? result.width == result.width else {
      let wanted = "\(height.map(String.init) ?? "?")x\(width.map(String.init) ?? "?")"
      throw ImageInput.refusal(
        "is \(result.height)x\(result.width) (height x width) after preprocessing, the model takes \(wanted)",
        remedy:
          "give --resize \(wanted), or --resize and --crop as in training, such as --preprocess imagenet"
      )
    }
    return result
  }

  private func resize(_ image: Image, shorterSide side: Int) throws(Refusal) -> Image {
    let isWide = image.width >= image.height
    let longer = side * max(image.width, image.height) / min(image.width, image.height)
    try ImageDecoder.checkSize(width: isWide ? longer : side, height: isWide ? side : longer)
    return ImageResizer.resize(image, height: isWide ? side : longer, width: isWide ? longer : side)
  }

  private func crop(_ image: Image) throws(Refusal) -> Image {
    guard let size = preprocessing.crop else { return image }
    guard size.height <= image.height, size.width <= image.width else {
      throw ImageInput.refusal(
        "is \(image.height)x\(image.width) (height x width), smaller than the crop of \(size)",
        remedy: "give --resize with at least \(max(size.height, size.width))"
      )
    }
    let top = (Double(image.height - size.height) / 2).rounded(.toNearestOrEven)
    let left = (Double(image.width - size.width) / 2).rounded(.toNearestOrEven)
    return image.cropped(top: Int(top), left: Int(left), height: size.height, width: size.width)
  }

  /// `(pixel / scale - mean) / std` of a channel in the order red, green, blue.
  private func normalised(_ pixel: Int, _ channel: Int) -> Float {
    let mean = preprocessing.mean
    let std = preprocessing.std
    let shift = mean.isEmpty ? 0 : mean[min(channel, mean.count - 1)]
    let divisor = std.isEmpty ? 1 : std[min(channel, std.count - 1)]
    return (Float(pixel) / preprocessing.scale - shift) / divisor
  }

  /// For every channel of the model, the image's channel it comes from and the value of every pixel.
  private func valueTables<Element>(
    _ value: (_ pixel: Int, _ channel: Int) -> Element
  ) -> [(source: Int, values: [Element])] {
    (0..<channels).map { channel in
      let source = preprocessing.channels == .bgr ? channels - 1 - channel : channel
      return (source, (0..<256).map { value($0, source) })
    }
  }

  private func fill<Element: BitwiseCopyable>(
    _ dtype: DType,
    _ shape: [Int],
    _ image: Image,
    _ tables: [(source: Int, values: [Element])]
  ) throws(Refusal) -> Tensor {
    let count = image.width * image.height
    let (channelStride, pixelStride) = layout == .channelsFirst ? (count, 1) : (1, channels)
    return try unsafe Tensor.build(dtype, shape, as: Element.self) { (target) throws(Refusal) in
      for (channel, table) in tables.enumerated() {
        let pixels = image.pixels.span
        let values = table.values.span
        for index in 0..<count {
          let pixel = pixels[index * channels + table.source]
          unsafe target[channel * channelStride + index * pixelStride] = values[Int(pixel)]
        }
      }
    }
  }

  private static func refusal(_ problem: String, remedy: String) -> Refusal {
    Refusal(.usage, at: "image", rule: "D4", problem, remedy: remedy)
  }
}
