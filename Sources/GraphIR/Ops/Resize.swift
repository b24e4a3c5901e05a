public import BinaryIO

/// Nearest or linear interpolation to other spatial extents.
public struct Resize: OpPayload {
  /// Factor per axis.
  public var scales: [Float]?
  /// Extent per axis.
  public var sizes: [Int]?
  /// Interpolation.
  public var mode: Mode
  /// ONNX's coordinate transformation mode.
  public var coordinates: String
  /// ONNX's nearest mode.
  public var nearest: String

  public init(
    scales: [Float]? = nil,
    sizes: [Int]? = nil,
    mode: Mode = .nearest,
    coordinates: String = "half_pixel",
    nearest: String = "round_prefer_floor"
  ) {
    self.scales = scales
    self.sizes = sizes
    self.mode = mode
    self.coordinates = coordinates
    self.nearest = nearest
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    scales = try a.floats("scales")
    sizes = try a.ints("sizes")
    mode = try a.choice("mode") ?? .nearest
    coordinates = try a.string("coordinates") ?? "half_pixel"
    nearest = try a.string("nearest") ?? "round_prefer_floor"
  }

  public var name: String { "resize" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("scales", scales)
    result.set("sizes", sizes)
    result.set("mode", mode.rawValue, unless: Mode.nearest.rawValue)
    result.set("coordinates", coordinates, unless: "half_pixel")
    result.set("nearest", nearest, unless: "round_prefer_floor")
    return result
  }

  /// How values between samples are found.
  public enum Mode: String, Hashable, Sendable {
    case nearest, linear, cubic
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    try rule.require((scales == nil) != (sizes == nil), "exactly one of scales and sizes must be given")
    if let sizes {
      try rule.require(sizes.count == x.rank, "sizes has \(sizes.count) entries, the input is \(x)")
      for size in sizes {
        try rule.require((1...Limits.standard.dimension).contains(size), "a size is \(size)")
      }
      return try rule.result(
        x.dtype,
        sizes.enumerated().map { x.dims[$0].value == nil && $1 == 1 ? x.dims[$0] : .known($1) }
      )
    }
    let scales = scales ?? []
    try rule.require(scales.count == x.rank, "scales has \(scales.count) entries, the input is \(x)")
    var dims: [Dim] = []
    for (dim, scale) in zip(x.dims, scales) {
      try rule.require(scale.isFinite && scale > 0 && scale <= 1_024, "a scale is \(scale)")
      guard let extent = dim.value else {
        dims.append(scale == 1 ? dim : .unknown)
        continue
      }
      let size = (Double(extent) * Double(scale)).rounded(.down)
      try rule.require(size >= 1 && size <= Double(Limits.standard.dimension), "an extent becomes \(size)")
      dims.append(.known(Int(size)))
    }
    return try rule.result(x.dtype, dims)
  }
}
