public import BinaryIO
public import GraphIR

/// How real numbers map to integers: `real = (q − zeroPoint) · scale`.
public struct QuantParams: Hashable, Sendable, CustomStringConvertible {
  /// Real distance of neighbouring integers: positive, normal, at most 2^64 (K1).
  public let scale: Float
  /// The integer that stands for 0, within the range of ``dtype`` (K2).
  public let zeroPoint: Int
  /// The integer type: u8 or i8.
  public let dtype: DType

  /// Parameters from elsewhere.
  ///
  /// - Throws: A refusal when a rule is broken: K1 for the scale, K2 for the zero point or the type.
  public init(scale: Float, zeroPoint: Int, dtype: DType) throws(Refusal) {
    guard let integers = QuantParams.integers(of: dtype) else {
      throw QuantParams.refusal("K2", "integers of type \(dtype.name) hold no quantized values, u8 or i8 do")
    }
    guard QuantParams.isValidScale(scale) else {
      throw QuantParams.refusal("K1", "the scale is \(scale), it must be normal, positive and at most 2^64")
    }
    guard integers.contains(zeroPoint) else {
      throw QuantParams.refusal(
        "K2",
        "the zero point is \(zeroPoint), \(dtype.name) holds \(integers.lowerBound)..\(integers.upperBound)"
      )
    }
    self.init(trusted: scale, zeroPoint, dtype)
  }

  private init(trusted scale: Float, _ zeroPoint: Int, _ dtype: DType) {
    self.scale = scale
    self.zeroPoint = zeroPoint
    self.dtype = dtype
  }

  /// Asymmetric u8 parameters whose integers cover `low...high`, widened to contain 0 so that 0 is exact.
  ///
  /// `scale = (high − low) / 255` in f32, `zero_point = saturate(rne(−low / scale))`. A range too narrow for a normal scale,
  /// such as 0...0, gets scale 1 and zero point 0.
  ///
  /// - Returns: nil when a bound is not finite, the bounds are swapped, or the scale would exceed 2^64 (K1, K7).
  public static func uint8(low: Float, high: Float) -> QuantParams? {
    guard low.isFinite, high.isFinite, low <= high else { return nil }
    let low = min(low, 0)
    let high = max(high, 0)
    let scale = (high - low) / 255
    guard scale >= .leastNormalMagnitude else { return QuantParams(trusted: 1, 0, .uint8) }
    guard isValidScale(scale) else { return nil }
    let zeroPoint = (-low / scale).rounded(.toNearestOrEven)
    return QuantParams(trusted: scale, Int(min(max(zeroPoint, 0), 255)), .uint8)
  }

  /// Asymmetric u8 parameters for an observed range.
  ///
  /// - Throws: A refusal (K7) where ``uint8(low:high:)`` has no answer.
  public static func uint8(covering range: ClosedRange<Float>) throws(Refusal) -> QuantParams {
    guard let params = uint8(low: range.lowerBound, high: range.upperBound) else {
      throw refusal(
        "K7",
        "the range \(range.lowerBound)...\(range.upperBound) has no finite scale of at most 2^64"
      )
    }
    return params
  }

  /// The real numbers that the integers reach.
  public var range: ClosedRange<Float> {
    let integers = QuantParams.integers(of: dtype) ?? 0...255
    return (Float(integers.lowerBound - zeroPoint) * scale)...(Float(integers.upperBound - zeroPoint) * scale)
  }

  public var description: String { "\(dtype.name) scale \(scale) zero point \(zeroPoint)" }

  /// `saturate(rne(x / scale) + zeroPoint)`; NaN gives the zero point.
  package func quantize(_ x: Float) -> Int {
    let integers = QuantParams.integers(of: dtype) ?? 0...255
    let low = Float(integers.lowerBound - zeroPoint)
    let high = Float(integers.upperBound - zeroPoint)
    let q = (x / scale).rounded(.toNearestOrEven)
    guard !q.isNaN else { return zeroPoint }
    return Int(min(max(q, low), high)) + zeroPoint
  }

  package func dequantize(_ q: Int) -> Float { Float(q - zeroPoint) * scale }

  /// Whether a scale obeys K1: positive, normal, at most 2^64.
  package static func isValidScale(_ scale: Float) -> Bool {
    scale.isNormal && scale > 0 && scale <= 0x1p64
  }

  private static func integers(of dtype: DType) -> ClosedRange<Int>? {
    switch dtype {
    case .uint8: 0...255
    case .int8: -128...127
    case .float32, .float64, .float16, .bfloat16, .bool, .uint16, .int16, .int32, .uint32, .int64, .uint64:
      nil
    }
  }

  private static func refusal(_ rule: String, _ problem: String) -> Refusal {
    Refusal(
      .invalid,
      at: "quantization parameters",
      rule: rule,
      problem,
      remedy: "calibrate with other data, or keep the value in float"
    )
  }
}
