internal import CKernels

/// A pointwise function as the kernels know it; the formulas are those of section 8 of `schemas/arithmetic.md`.
package enum PointwiseFunction: Hashable, Sendable {
  case identity
  case relu
  case clip(min: Float, max: Float)
  case leakyRelu(alpha: Float)
  case hardSigmoid(alpha: Float, beta: Float)
  case hardSwish
  case sigmoid
  case silu
  case mish
  case elu(alpha: Float, scale: Float)
  case gelu(isTanh: Bool)
  case erf
  case tanh

  /// The bounds if the function is nothing but bounds.
  var clamp: (lowest: Float, highest: Float)? {
    switch self {
    case .identity: (-.infinity, .infinity)
    case .relu: (0, .infinity)
    case .clip(let min, let max): (min, max)
    case .leakyRelu, .hardSigmoid, .hardSwish, .sigmoid, .silu, .mish, .elu, .gelu, .erf, .tanh: nil
    }
  }

  /// As the C kernels take it.
  var value: qk_activation {
    let (function, a, b): (qk_function, Float, Float) =
      switch self {
      case .identity: (QK_IDENTITY, 0, 0)
      case .relu: (QK_RELU, 0, 0)
      case .clip(let min, let max): (QK_CLIP, min, max)
      case .leakyRelu(let alpha): (QK_LEAKY_RELU, alpha, 0)
      case .hardSigmoid(let alpha, let beta): (QK_HARD_SIGMOID, alpha, beta)
      case .hardSwish: (QK_HARD_SWISH, 0, 0)
      case .sigmoid: (QK_SIGMOID, 0, 0)
      case .silu: (QK_SILU, 0, 0)
      case .mish: (QK_MISH, 0, 0)
      case .elu(let alpha, let scale): (QK_ELU, alpha, scale)
      case .gelu(let isTanh): (isTanh ? QK_GELU_TANH : QK_GELU, 0, 0)
      case .erf: (QK_ERF, 0, 0)
      case .tanh: (QK_TANH, 0, 0)
      }
    return qk_activation(function: function, a: a, b: b)
  }
}

/// The last operation of an integer kernel: `min(max(sat_u8(rne(r) + zeroPoint), lowest), highest)`.
package struct ByteClamp: Hashable, Sendable {
  package var zeroPoint: UInt8
  package var lowest: UInt8
  package var highest: UInt8

  package init(zeroPoint: UInt8, lowest: UInt8 = 0, highest: UInt8 = 255) {
    self.zeroPoint = zeroPoint
    self.lowest = lowest
    self.highest = highest
  }

  var value: qk_u8_clamp { qk_u8_clamp(zero_point: zeroPoint, lowest: lowest, highest: highest) }

  /// The bounds before the zero point is added.
  var bounds: (lowest: Float, highest: Float) {
    (Float(Int(lowest) - Int(zeroPoint)), Float(Int(highest) - Int(zeroPoint)))
  }
}
