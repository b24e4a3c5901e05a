internal import BinaryIO

/// A pointwise function that a linear operator applies to its result.
///
/// In the attributes: `activation = "clip", activation_params = [0, 6]`.
public enum Activation: Hashable, Sendable {
  case none
  case relu
  /// `min(max(x, min), max)`
  case clip(min: Float, max: Float)
  case sigmoid
  /// `min(max(alpha·x + beta, 0), 1)`
  case hardSigmoid(alpha: Float, beta: Float)
  /// `x · min(max(x/6 + 1/2, 0), 1)`
  case hardSwish
  /// `x · sigmoid(x)`
  case silu
  /// `x < 0 ? alpha·x : x`
  case leakyRelu(alpha: Float)

  init(_ a: inout AttributeReader) throws(Refusal) {
    let name = try a.string("activation") ?? "none"
    let params = try a.floats("activation_params") ?? []
    switch (name, params.count) {
    case ("none", 0): self = .none
    case ("relu", 0): self = .relu
    case ("clip", 2): self = .clip(min: params[0], max: params[1])
    case ("sigmoid", 0): self = .sigmoid
    case ("hard_sigmoid", 2): self = .hardSigmoid(alpha: params[0], beta: params[1])
    case ("hard_swish", 0): self = .hardSwish
    case ("silu", 0): self = .silu
    case ("leaky_relu", 1): self = .leakyRelu(alpha: params[0])
    default:
      throw AttributeReader.refusal(
        "activation",
        "is '\(Refusal.printable(name))' with \(params.count) parameters, which is not known",
        rule: "O27"
      )
    }
  }

  func write(to attributes: inout Attributes) {
    let (name, params): (String, [Float]) =
      switch self {
      case .none: ("none", [])
      case .relu: ("relu", [])
      case .clip(let min, let max): ("clip", [min, max])
      case .sigmoid: ("sigmoid", [])
      case .hardSigmoid(let alpha, let beta): ("hard_sigmoid", [alpha, beta])
      case .hardSwish: ("hard_swish", [])
      case .silu: ("silu", [])
      case .leakyRelu(let alpha): ("leaky_relu", [alpha])
      }
    attributes.set("activation", name, unless: "none")
    if !params.isEmpty { attributes.set("activation_params", params) }
  }
}
