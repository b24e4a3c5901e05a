import BinaryIO
import GraphIR

extension OperatorTable {
  /// Reductions over axes.
  static let reduction = [
    entry("ReduceMean", .mean, operandSince: 18), entry("ReduceSum", .sum, operandSince: 13),
    entry("ReduceMax", .max, operandSince: 18), entry("ReduceMin", .min, operandSince: 18),
    entry("ReduceProd", .prod, operandSince: 18), entry("ReduceSumSquare", .sumSquare, operandSince: 18),
    entry("ReduceL2", .l2, operandSince: 18), entry("ReduceL1", .sum, of: .abs, operandSince: 18),
    OperatorEntry("CumSum", 2...2, since: 11) { (node) throws(Refusal) in
      guard let axis = try node.constantInts(1, "axis")?.first else { throw node.notConstant("axis") }
      let op = CumSum(
        axis: axis,
        isExclusive: try node.attributes.bool("exclusive") ?? false,
        isReverse: try node.attributes.bool("reverse") ?? false
      )
      try node.finish(.cumSum(op), [node.input(0)])
    },
    OperatorEntry("ArgMax", 1...1) { (node) throws(Refusal) in
      try node.attributes.expect("select_last_index", 0)
      let op = ArgMax(
        axis: try node.attributes.int("axis") ?? 0,
        keepDims: try node.attributes.bool("keepdims") ?? true
      )
      try node.finish(.argMax(op), [node.input(0)])
    },
  ]

  /// - Parameter function: Applied to the elements first.
  private static func entry(
    _ name: String,
    _ kind: Reduce.Kind,
    of function: Unary.Kind? = nil,
    operandSince: Int
  ) -> OperatorEntry {
    OperatorEntry(name, 1...2) { (node) throws(Refusal) in
      var x = try node.input(0)
      if let function { x = try node.emit(.unary(Unary(function)), [x], function.rawValue) }
      let keepDims = try node.attributes.bool("keepdims") ?? true
      var axes: [Int]?
      var operand: Operand?
      if node.operatorSet >= operandSince {
        operand = node.optional(1)
        axes = operand.flatMap { node.type($0).dims == [0] ? [] : node.knownInts($0) }
        let isNothing = try node.attributes.bool("noop_with_empty_axes") ?? false
        if axes?.isEmpty ?? (operand == nil) {
          guard !isNothing else { return node.alias(x) }
          (axes, operand) = (nil, nil)
        }
      } else {
        guard node.node.inputs.count == 1 else {
          throw node.refusal("O26", "has axes as an input before opset \(operandSince)")
        }
        axes = try node.attributes.ints("axes")
      }
      try reduce(node, kind, x, axes: axes, operand: axes == nil ? operand : nil, keepDims)
    }
  }

  /// A reduction; the mean and maximum over all spatial axes are global pools.
  private static func reduce(
    _ node: NodeImporter,
    _ kind: Reduce.Kind,
    _ x: Operand,
    axes: [Int]?,
    operand: Operand?,
    _ keepDims: Bool
  ) throws(Refusal) {
    let type = node.type(x)
    let pool: GlobalPool.Kind? =
      switch kind {
      case .mean: .average
      case .max: .max
      case .sum, .min, .prod, .sumSquare, .l2: nil
      }
    let spatial = axes.map { Set($0.map { $0 < 0 ? $0 &+ type.rank : $0 }) }
    if let pool, let axes, type.rank >= 3, axes.count == type.rank - 2, spatial == Set(2..<type.rank),
      type.dtype == .float32
    {
      guard !keepDims else { return try node.finish(.globalPool(GlobalPool(pool)), [x]) }
      let pooled = try node.emit(.globalPool(GlobalPool(pool)), [x], "pool")
      return try node.finish(.flatten(Flatten()), [pooled])
    }
    try node.finish(.reduce(Reduce(kind, axes: axes, keepDims: keepDims)), [x, operand])
  }
}
