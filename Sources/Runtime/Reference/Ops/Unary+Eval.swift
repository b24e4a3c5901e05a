internal import BinaryIO
internal import GraphIR

extension Unary {
  /// Section 8 of `schemas/arithmetic.md`; on integers for the functions that have them.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.input(0)
    if x.dtype.isFloatingPoint { return try e.pointwise(.unary(kind)) }
    let values = try x.integers()
    return try Tensor.integers(x.dtype, x.shape, values.map(integer))
  }

  /// The functions that are defined on integers; the others are refused by the type rule.
  private func integer(_ x: Int) -> Int {
    switch kind {
    case .not: x == 0 ? 1 : 0
    case .relu: Swift.max(x, 0)
    case .neg: 0 &- x
    case .abs: x < 0 ? 0 &- x : x
    case .sign: x.signum()
    case .sigmoid, .hardSwish, .silu, .tanh, .erf, .exp, .log, .sqrt, .reciprocal, .floor, .ceil, .round,
      .sin, .cos,
      .softplus, .mish:
      x
    }
  }
}

extension Clip {
  /// Section 8 of `schemas/arithmetic.md`; integers are clipped by the bounds rounded inwards.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.input(0)
    if x.dtype.isFloatingPoint { return try e.pointwise(.activation(.clip(min: min, max: max))) }
    let low = Casting.integer(Double(min.rounded(.up)))
    let high = Casting.integer(Double(max.rounded(.down)))
    let values = try x.integers()
    return try Tensor.integers(x.dtype, x.shape, values.map { Swift.min(Swift.max($0, low), high) })
  }
}

extension HardSigmoid {
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    try e.pointwise(.activation(.hardSigmoid(alpha: alpha, beta: beta)))
  }
}

extension LeakyRelu {
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    try e.pointwise(.activation(.leakyRelu(alpha: alpha)))
  }
}

extension Elu {
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    try e.pointwise(.elu(alpha: alpha, scale: scale))
  }
}

extension Gelu {
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor { try e.pointwise(.gelu(isTanh: isTanh)) }
}

extension Evaluation {
  /// The first operand with a function applied to every element.
  func pointwise(_ function: Pointwise) throws(Refusal) -> Tensor {
    try real(0).mapped { function($0) }.narrowed(to: dtype)
  }
}
