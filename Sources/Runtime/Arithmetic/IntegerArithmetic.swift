package import GraphIR

/// The scalar formulas of `schemas/arithmetic.md`; integer steps consist of them.
package enum IntegerArithmetic {
  /// Section 3: `sat(rne(x / scale) + zeroPoint)` between two limits of at most 16 bits; NaN gives the zero point.
  package static func quantize(
    _ x: Float,
    scale: Float,
    zeroPoint: Int32,
    limits: ClosedRange<Int32>
  ) -> Int32 {
    round(x / scale, zeroPoint: zeroPoint, limits: limits)
  }

  /// Section 3 for u8.
  package static func quantize(_ x: Float, _ affine: Affine) -> UInt8 {
    UInt8(quantize(x, scale: affine.scale, zeroPoint: Int32(affine.zeroPoint), limits: 0...255))
  }

  /// `min(max(rne(x) + zeroPoint, lowest), highest)`; NaN gives the zero point.
  package static func round(_ x: Float, zeroPoint: Int32, limits: ClosedRange<Int32>) -> Int32 {
    guard !x.isNaN else { return zeroPoint }
    let lowest = Float(limits.lowerBound - zeroPoint)
    let highest = Float(limits.upperBound - zeroPoint)
    return Int32(min(max(x, lowest), highest).rounded(.toNearestOrEven)) + zeroPoint
  }

  /// Section 3: `f32(q - zeroPoint) * scale`.
  package static func dequantize(_ q: UInt8, _ affine: Affine) -> Float {
    Float(Int32(q) - Int32(affine.zeroPoint)) * affine.scale
  }

  /// `f32(f64(s_x) * f64(s_w))`: the scale of an accumulator.
  package static func accumulatorScale(_ input: Float, _ weight: Float) -> Float {
    Float(Double(input) * Double(weight))
  }

  /// `m = f32(f64(a) * f64(b) / f64(y))`, or nil where section 9 does not admit it.
  package static func multiplier(_ a: Float, _ b: Float = 1, over y: Float) -> Float? {
    let m = Float(Double(a) * Double(b) / Double(y))
    return (0x1p-126...0x1p100).contains(m) ? m : nil
  }

  /// Section 3: scale and zero point of a dynamically quantized tensor.
  package static func dynamicParameters(_ values: some Sequence<Float>) -> Affine {
    var low: Float = 0
    var high: Float = 0
    for value in values where value.isFinite {
      low = min(low, value)
      high = max(high, value)
    }
    return dynamicParameters(low: low, high: high)
  }

  /// Section 3: the same from the range, which includes 0.
  package static func dynamicParameters(low: Float, high: Float) -> Affine {
    let range = min(high - low, .greatestFiniteMagnitude)
    let scale = range / 255
    guard scale >= 0x1p-126 else { return Affine(scale: 1, zeroPoint: 0) }
    return Affine(
      scale: scale,
      zeroPoint: UInt8(round((0 - low) / scale, zeroPoint: 0, limits: 0...255))
    )
  }

  /// Section 7: the table of `functions`, applied in order between two sets of parameters.
  package static func table(_ functions: [Pointwise], from input: Affine, to output: Affine) -> [UInt8] {
    (0...255).map { (q: Int) in
      let value = functions.reduce(dequantize(UInt8(q), input)) { $1($0) }
      return quantize(value, output)
    }
  }

  /// Section 7: the table of the identity, or nil where the parameters are equal.
  package static func requantizeTable(from input: Affine, to output: Affine) -> [UInt8]? {
    input == output ? nil : table([.identity], from: input, to: output)
  }
}

extension OutputClamp {
  /// The limits of section 4.1; nil for an activation that is no clamp.
  package init?(_ activation: Activation, output: Affine) {
    let zeroPoint = output.zeroPoint
    switch activation {
    case .none: self.init(zeroPoint: zeroPoint, lowest: 0, highest: 255)
    case .relu: self.init(zeroPoint: zeroPoint, lowest: zeroPoint, highest: 255)
    case .clip(let low, let high):
      guard !low.isNaN, !high.isNaN else { return nil }
      self.init(
        zeroPoint: zeroPoint,
        lowest: IntegerArithmetic.quantize(low, output),
        highest: IntegerArithmetic.quantize(high, output)
      )
    case .sigmoid, .hardSigmoid, .hardSwish, .silu, .leakyRelu: return nil
    }
  }

  /// `min(max(sat_u8(rne(real) + zeroPoint), lowest), highest)`.
  package func callAsFunction(_ real: Float) -> UInt8 {
    let q = UInt8(IntegerArithmetic.round(real, zeroPoint: Int32(zeroPoint), limits: 0...255))
    return min(max(q, lowest), highest)
  }
}
