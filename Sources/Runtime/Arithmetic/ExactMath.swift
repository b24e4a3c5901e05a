/// Transcendental functions that give the same bits on every machine (`schemas/arithmetic.md`, 8.2).
///
/// Built from IEEE additions, products, quotients and roundings only; Swift never contracts them. Relative error below
/// 2^-45 where the result is a normal number.
package enum ExactMath {
  private static let log2e = 1.4426950408889634
  private static let ln2High = 0x1.62e42feep-1
  private static let ln2Low = 0x1.a39ef35793c76p-33

  package static func exp(_ x: Double) -> Double {
    guard !x.isNaN else { return x }
    guard x <= 709.782712893384 else { return .infinity }
    guard x >= -745.2 else { return 0 }
    let k = (x * log2e).rounded(.toNearestOrEven)
    let r = (x - k * ln2High) - k * ln2Low
    var p = 1.0
    for n in stride(from: 13.0, through: 1.0, by: -1.0) { p = 1 + r / n * p }
    return scale(p, by: Int(k))
  }

  /// `x * 2^k` for `x` in 0.5...2 and `k` in -1076...1024, rounded once.
  private static func scale(_ x: Double, by k: Int) -> Double {
    if k > 1000 { return x * 0x1p1000 * Double(sign: .plus, exponent: k - 1000, significand: 1) }
    if k < -1000 { return x * Double(sign: .plus, exponent: k + 1000, significand: 1) * 0x1p-1000 }
    return x * Double(sign: .plus, exponent: k, significand: 1)
  }

  package static func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

  package static func silu(_ x: Double) -> Double { x / (1 + exp(-x)) }

  package static func tanh(_ x: Double) -> Double {
    let magnitude = x.magnitude
    guard magnitude >= 0x1p-5 else {
      let t = x * x
      let p = t * (62.0 / 2835) + -17.0 / 315
      return x + x * t * (t * (t * p + 2.0 / 15) + -1.0 / 3)
    }
    let e = exp(-2 * magnitude)
    let t = (1 - e) / (1 + e)
    return x < 0 ? -t : t
  }

  /// `atanh(s) / s` by its series in `t = s²`, for `s` up to 1/3.
  private static func atanhSeries(_ t: Double) -> Double {
    var p = 0.0
    for n in stride(from: 41.0, through: 1.0, by: -2.0) { p = p * t + 1 / n }
    return p
  }

  /// `log(1 + e)` for `e` in 0...1.
  package static func log1p(_ e: Double) -> Double {
    let s = e / (2 + e)
    return 2 * s * atanhSeries(s * s)
  }

  package static func log(_ x: Double) -> Double {
    guard x > 0 else { return x == 0 ? -.infinity : .nan }
    guard x.isFinite else { return x }
    var k = Double(x.exponent)
    var g = x.significand
    if g >= 1.5 {
      g *= 0.5
      k += 1
    }
    let s = (g - 1) / (g + 1)
    return k * ln2Low + 2 * s * atanhSeries(s * s) + k * ln2High
  }

  /// `exp(x) - 1`.
  package static func expm1(_ x: Double) -> Double {
    guard x.magnitude < 0x1p-5 else { return exp(x) - 1 }
    var p = 1.0
    for n in stride(from: 8.0, through: 2.0, by: -1.0) { p = 1 + x / n * p }
    return x * p
  }

  package static func elu(_ x: Double, _ alpha: Double, _ scale: Double) -> Double {
    scale * (x < 0 ? alpha * expm1(x) : x)
  }

  package static func mish(_ x: Double) -> Double { x * tanh(softplus(x)) }

  package static func softplus(_ x: Double) -> Double { (x > 0 ? x : 0) + log1p(exp(-x.magnitude)) }

  package static func erf(_ x: Double) -> Double {
    guard x.magnitude < 6 else { return x.isNaN ? x : x < 0 ? -1 : 1 }
    let factor = 2 * x * x
    var term = x
    var sum = x
    for n in 1...200 {
      term = term * factor / Double(2 * n + 1)
      sum += term
      if term.magnitude < sum.magnitude * 0x1p-60 { break }
    }
    return 1.1283791670955126 * exp(-x * x) * sum
  }

  package static func gelu(_ x: Double) -> Double { x * 0.5 * (1 + erf(x * 0.7071067811865476)) }

  package static func geluTanh(_ x: Double) -> Double {
    x * 0.5 * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
  }
}
