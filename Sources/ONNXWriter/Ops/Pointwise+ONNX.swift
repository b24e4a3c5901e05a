import BinaryIO
import GraphIR

/// Functions of single elements.
extension NodeExporter {
  func export(_ op: Unary) throws(Refusal) {
    let opType: String
    switch op.kind {
    case .silu: return try finish(.silu, input(0))
    case .relu: opType = "Relu"
    case .sigmoid: opType = "Sigmoid"
    case .hardSwish: opType = "HardSwish"
    case .tanh: opType = "Tanh"
    case .erf: opType = "Erf"
    case .exp: opType = "Exp"
    case .log: opType = "Log"
    case .sqrt: opType = "Sqrt"
    case .reciprocal: opType = "Reciprocal"
    case .neg: opType = "Neg"
    case .abs: opType = "Abs"
    case .floor: opType = "Floor"
    case .ceil: opType = "Ceil"
    case .round: opType = "Round"
    case .sign: opType = "Sign"
    case .sin: opType = "Sin"
    case .cos: opType = "Cos"
    case .softplus: opType = "Softplus"
    case .not: opType = "Not"
    case .mish: opType = "Mish"
    }
    try finish(opType, inputs())
  }

  func export(_ op: Binary) throws(Refusal) {
    let opType =
      switch op.kind {
      case .add: "Add"
      case .sub: "Sub"
      case .mul: "Mul"
      case .div: "Div"
      case .pow: "Pow"
      case .min: "Min"
      case .max: "Max"
      case .mod: "Mod"
      }
    try finish(opType, inputs())
  }

  func export(_ op: Compare) throws(Refusal) {
    let opType =
      switch op.kind {
      case .equal: "Equal"
      case .less: "Less"
      case .lessOrEqual: "LessOrEqual"
      case .greater: "Greater"
      case .greaterOrEqual: "GreaterOrEqual"
      case .and: "And"
      case .or: "Or"
      case .xor: "Xor"
      }
    try finish(opType, inputs())
  }

  /// Appends the activation of `x` as the node's result.
  func finish(_ activation: Activation, _ x: String) throws(Refusal) {
    switch activation {
    case .none: try finish("Identity", [x])
    case .relu: try finish("Relu", [x])
    case .clip(let min, let max):
      let dtype = graph[node.outputs[0]].type.dtype
      let lower = min == -.infinity ? "" : try scalar(min, dtype, "min")
      let upper = max == .infinity ? "" : try scalar(max, dtype, "max")
      try finish("Clip", [x, lower, upper])
    case .sigmoid: try finish("Sigmoid", [x])
    case .hardSigmoid(let alpha, let beta):
      try finish("HardSigmoid", [x], Attributes(("alpha", .float(alpha)), ("beta", .float(beta))))
    case .hardSwish: try finish("HardSwish", [x])
    case .silu: try finish("Mul", [x, emit("Sigmoid", [x], "sigmoid")])
    case .leakyRelu(let alpha): try finish("LeakyRelu", [x], Attributes(("alpha", .float(alpha))))
    }
  }
}
