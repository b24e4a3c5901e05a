/// The numbers of operators in files.
///
/// Append-only: a number is never changed or reused, a new operator gets the next one and a line in
/// `schemas/qmodel.md`.
package enum OpCodes {
  /// The operator with a number, or nil.
  package static func name(of code: Int) -> String? {
    table.indices.contains(code - 1) ? table[code - 1] : nil
  }

  /// The number of an operator, or nil.
  package static func code(of name: String) -> Int? { codes[name] }

  /// Operators in order of their numbers, from 1.
  package static let table = [
    "conv", "conv_transpose", "gemm", "matmul", "batch_norm", "layer_norm", "max_pool", "average_pool",
    "global_average_pool", "global_max_pool", "reduce_mean", "reduce_sum", "reduce_max", "reduce_min",
    "reduce_prod", "reduce_sum_square", "reduce_l2", "arg_max", "relu", "sigmoid", "hard_swish", "silu",
    "tanh",
    "erf", "exp", "log", "sqrt", "reciprocal", "neg", "abs", "floor", "ceil", "round", "sign", "sin", "cos",
    "softplus", "not", "clip", "hard_sigmoid", "leaky_relu", "gelu", "add", "sub", "mul", "div", "pow", "min",
    "max", "mod", "equal", "less", "less_or_equal", "greater", "greater_or_equal", "and", "or", "xor",
    "where",
    "prelu", "softmax", "cast", "reshape", "flatten", "transpose", "squeeze", "unsqueeze", "concat", "split",
    "slice", "gather", "expand", "pad", "shape", "constant_of_shape", "range", "resize", "quantize_linear",
    "dequantize_linear", "dequantize_bias", "dynamic_quantize", "dequantize_blocks", "lstm", "gru",
    "mish", "elu", "gather_elements", "gather_nd", "scatter_nd", "cum_sum", "tile",
  ]

  private static let codes: [String: Int] = {
    var result: [String: Int] = [:]
    for (index, name) in table.enumerated() { result[name] = index + 1 }
    return result
  }()
}
