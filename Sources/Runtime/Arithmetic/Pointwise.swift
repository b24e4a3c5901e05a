package import GraphIR

/// A function of one f32, as `schemas/arithmetic.md`, section 8, defines it.
///
/// Float operators and the tables of integer steps are both made of it, so that they agree to the bit.
package enum Pointwise: Hashable, Sendable {
  case identity
  case activation(Activation)
  case unary(Unary.Kind)
  case elu(alpha: Float, scale: Float)
  case gelu(isTanh: Bool)
  /// `x op constant`
  case left(Binary.Kind, Float)
  /// `constant op x`
  case right(Float, Binary.Kind)

  package func callAsFunction(_ x: Float) -> Float {
    switch self {
    case .identity: x
    case .activation(let activation): Pointwise.apply(activation, x)
    case .unary(let kind): Pointwise.apply(kind, x)
    case .elu(let alpha, let scale): Float(ExactMath.elu(Double(x), Double(alpha), Double(scale)))
    case .gelu(let isTanh): Float(isTanh ? ExactMath.geluTanh(Double(x)) : ExactMath.gelu(Double(x)))
    case .left(let kind, let constant): Pointwise.apply(kind, x, constant)
    case .right(let constant, let kind): Pointwise.apply(kind, constant, x)
    }
  }

  /// Whether section 8 fixes the result to the bit.
  package var isExact: Bool {
    switch self {
    case .identity, .activation, .elu, .gelu: true
    case .unary(let kind): kind != .sin && kind != .cos && kind != .not
    case .left(let kind, _), .right(_, let kind): kind != .pow && kind != .mod
    }
  }

  package static func apply(_ activation: Activation, _ x: Float) -> Float {
    switch activation {
    case .none: x
    case .relu: x < 0 ? 0 : x
    case .clip(let low, let high): clip(x, low, high)
    case .sigmoid: Float(ExactMath.sigmoid(Double(x)))
    case .hardSigmoid(let alpha, let beta): hardSigmoid(x, alpha, beta)
    case .hardSwish: x * hardSigmoid(x, Float(1) / 6, 0.5)
    case .silu: Float(ExactMath.silu(Double(x)))
    case .leakyRelu(let alpha): x < 0 ? alpha * x : x
    }
  }

  private static func clip(_ x: Float, _ low: Float, _ high: Float) -> Float {
    let t = x < low ? low : x
    return t > high ? high : t
  }

  private static func hardSigmoid(_ x: Float, _ alpha: Float, _ beta: Float) -> Float {
    let product = alpha * x
    return clip(product + beta, 0, 1)
  }

  private static func apply(_ kind: Unary.Kind, _ x: Float) -> Float {
    switch kind {
    case .relu: apply(Activation.relu, x)
    case .sigmoid: apply(Activation.sigmoid, x)
    case .hardSwish: apply(Activation.hardSwish, x)
    case .silu: apply(Activation.silu, x)
    case .tanh: Float(ExactMath.tanh(Double(x)))
    case .erf: Float(ExactMath.erf(Double(x)))
    case .exp: Float(ExactMath.exp(Double(x)))
    case .log: Float(ExactMath.log(Double(x)))
    case .sqrt: x.squareRoot()
    case .reciprocal: 1 / x
    case .neg: -x
    case .abs: x.magnitude
    case .floor: x.rounded(.down)
    case .ceil: x.rounded(.up)
    case .round: x.rounded(.toNearestOrEven)
    case .sign: x.isNaN ? x : x > 0 ? 1 : x < 0 ? -1 : 0
    case .sin: LibraryMath.sin(x)
    case .cos: LibraryMath.cos(x)
    case .softplus: Float(ExactMath.softplus(Double(x)))
    case .mish: Float(ExactMath.mish(Double(x)))
    case .not: x == 0 ? 1 : 0
    }
  }

  /// `a op b` in f32; the remainder has the sign of the divisor, as Python's.
  package static func apply(_ kind: Binary.Kind, _ a: Float, _ b: Float) -> Float {
    switch kind {
    case .add: a + b
    case .sub: a - b
    case .mul: a * b
    case .div: a / b
    case .pow: LibraryMath.pow(a, b)
    case .min: a.isNaN || a < b ? a : b
    case .max: a.isNaN || a > b ? a : b
    case .mod: LibraryMath.floorMod(a, b)
    }
  }
}
