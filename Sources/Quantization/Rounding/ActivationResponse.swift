import GraphIR

/// The activation as far as it is taken into account: cut-offs and hard-swish; others count as linear.
struct ActivationResponse: Sendable {
  let low: Float
  let high: Float
  let isHardSwish: Bool

  init(_ activation: Activation) {
    switch activation {
    case .relu: (low, high, isHardSwish) = (0, .infinity, false)
    case .clip(let min, let max): (low, high, isHardSwish) = (min, max, false)
    case .hardSwish: (low, high, isHardSwish) = (-.infinity, .infinity, true)
    case .none, .sigmoid, .hardSigmoid, .silu, .leakyRelu:
      (low, high, isHardSwish) = (-.infinity, .infinity, false)
    }
  }

  var isLinear: Bool { !isHardSwish && low == -.infinity && high == .infinity }

  func value(_ x: Float) -> Float {
    isHardSwish ? x * min(max(x / 6 + 0.5, 0), 1) : min(max(x, low), high)
  }

  @inline(__always)
  func value(_ x: SIMD8<Float>) -> SIMD8<Float> {
    if isHardSwish {
      let gate = pointwiseMin(pointwiseMax(x / 6 + 0.5, .zero), SIMD8(repeating: 1))
      return x * gate
    }
    return pointwiseMin(pointwiseMax(x, SIMD8(repeating: low)), SIMD8(repeating: high))
  }

  /// The slope at `x`; at a cut-off, 1 where the error pulls back from it.
  @inline(__always)
  func slope(_ x: SIMD8<Float>, _ error: SIMD8<Float>) -> SIMD8<Float> {
    let one = SIMD8<Float>(repeating: 1)
    let none = SIMD8<Float>(repeating: 0)
    if isHardSwish {
      var slope = (x + 1.5) / 3
      slope.replace(with: none, where: x .<= -3)
      slope.replace(with: one, where: x .>= 3)
      return slope
    }
    var slope = one
    slope.replace(with: none, where: (x .<= low) .& (error .>= 0))
    slope.replace(with: none, where: (x .>= high) .& (error .<= 0))
    return slope
  }
}

@inline(__always)
private func pointwiseMax(_ a: SIMD8<Float>, _ b: SIMD8<Float>) -> SIMD8<Float> {
  a.replacing(with: b, where: a .< b)
}

@inline(__always)
private func pointwiseMin(_ a: SIMD8<Float>, _ b: SIMD8<Float>) -> SIMD8<Float> {
  a.replacing(with: b, where: a .> b)
}
