import BinaryIO
import GraphIR

extension OperatorTable {
  /// Matrix products.
  static let linear = [
    OperatorEntry("Gemm", 2...3) { (node) throws(Refusal) in
      let a = try node.input(0)
      let b = try node.input(1)
      let op = Gemm(
        alpha: try node.attributes.float("alpha") ?? 1,
        beta: try node.attributes.float("beta") ?? 1,
        transA: try node.attributes.int("transA").map { $0 != 0 } ?? false,
        transB: try node.attributes.int("transB").map { $0 != 0 } ?? false
      )
      let c = try node.optional(2).map { (c) throws(Refusal) in try node.matchedBias(c, x: a, w: b) }
      try node.finish(.gemm(op), [a, b, c])
    },
    OperatorEntry("MatMul", 2...2) { (node) throws(Refusal) in
      try node.finish(.matMul(MatMul()), node.inputs())
    },
  ]
}
