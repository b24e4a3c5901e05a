/// The f32 functions of integer tails and recurrent cells (`schemas/arithmetic.md`, 8.3): the same bits on every machine.
///
/// Every operation is rounded to f32; Swift never contracts them.
package enum SingleMath {
  /// Within 2 ulp; 0 below -103.97, infinity above 88.72.
  package static func exp(_ x: Float) -> Float {
    guard !x.isNaN else { return x }
    let c = min(max(x, -104), 89)
    let k = (c * 1.44269504 + 12_582_912) - 12_582_912
    let r = (c - k * 0.693359375) - k * -2.12194440e-4
    var p: Float = 1.9875691500e-4
    p = p * r + 1.3981999507e-3
    p = p * r + 8.3334519073e-3
    p = p * r + 4.1665795894e-2
    p = p * r + 1.6666665459e-1
    p = p * r + 5.0000001201e-1
    p = p * (r * r) + r + 1
    let half = Int(k) >> 1
    return p * power(half) * power(Int(k) - half)
  }

  /// `2^k` for `k` in -126...127.
  private static func power(_ k: Int) -> Float { Float(sign: .plus, exponent: k, significand: 1) }

  /// Within 4 ulp.
  package static func sigmoid(_ x: Float) -> Float { 1 / (1 + exp(-x)) }

  /// `x · sigmoid(x)`, within 4 ulp.
  package static func silu(_ x: Float) -> Float { x / (1 + exp(-x)) }

  /// Within 3e-7.
  package static func tanh(_ x: Float) -> Float {
    guard !x.isNaN else { return x }
    let z = x * x
    guard x.magnitude >= 0.25 else {
      var p = Float(62) / 2835
      p = p * z + Float(-17) / 315
      p = p * z + Float(2) / 15
      p = p * z + Float(-1) / 3
      return x + x * z * p
    }
    let e = exp(-2 * x.magnitude)
    let t = (1 - e) / (1 + e)
    return x < 0 ? -t : t
  }

  /// `min(max(x, -bound), bound)`; NaN passes.
  package static func clip(_ x: Float, _ bound: Float) -> Float {
    let low = x < -bound ? -bound : x
    return low > bound ? bound : low
  }
}
