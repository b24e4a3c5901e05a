internal import Glibc

/// Functions taken from the C library: correct to an f32 rounding, but not specified to the bit.
enum LibraryMath {
  static func sin(_ x: Float) -> Float { Float(Glibc.sin(Double(x))) }

  static func cos(_ x: Float) -> Float { Float(Glibc.cos(Double(x))) }

  static func pow(_ base: Float, _ exponent: Float) -> Float {
    switch exponent {
    case 2: base * base
    case 1: base
    case 0.5: base.squareRoot()
    default: Float(Glibc.pow(Double(base), Double(exponent)))
    }
  }

  /// The remainder with the sign of the divisor; NaN for a divisor of 0.
  static func floorMod(_ a: Float, _ b: Float) -> Float {
    let remainder = fmodf(a, b)
    return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder
  }
}
