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
    throw Refusal(.unsupported, at: name, rule: "O42", "has no type rule", remedy: "")
  }
}
