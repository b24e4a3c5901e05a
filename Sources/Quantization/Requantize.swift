/// The exact arithmetic that takes an integer accumulator to the next layer's integers.
///
/// Every executor gives these bytes; kernels are tested against it.
package enum Requantize {
  /// `f32(f64(input) · f64(weight) / f64(output))`: the factor from an accumulator to output steps.
  package static func multiplier(input: Float, weight: Float, output: Float) -> Float {
    Float(Double(input) * Double(weight) / Double(output))
  }

  /// `saturate(rne(f32(accumulator) · multiplier) + zeroPoint)` to u8, rounding half to even.
  ///
  /// The product is rounded to f32 before it is rounded to an integer. An infinite product saturates.
  package static func uint8(_ accumulator: Int32, multiplier: Float, zeroPoint: UInt8) -> UInt8 {
    let scaled = (Float(accumulator) * multiplier).rounded(.toNearestOrEven)
    guard !scaled.isNaN else { return zeroPoint }
    let low = -Float(zeroPoint)
    let high = 255 - Float(zeroPoint)
    return UInt8(Int(min(max(scaled, low), high)) + Int(zeroPoint))
  }

  /// The most terms an int32 accumulator can sum of i8 weights (at most 127) times u8 distances (at most 255),
  /// with ``leastBiasLimit`` left for the bias (K5).
  package static let maximumTerms = (Int(Int32.max) - leastBiasLimit) / (127 * 255)

  /// The largest magnitude an i32 bias may have beside a sum of `terms` products, so that no accumulator overflows.
  ///
  /// At most 2^30, so that the bias alone stays far from the ends of int32 even where `terms` is small.
  package static func biasLimit(terms: Int) -> Int {
    let terms = max(0, min(terms, maximumTerms))
    return min(1 << 30, Int(Int32.max) - terms * 127 * 255)
  }

  private static let leastBiasLimit = 1 << 20
}
