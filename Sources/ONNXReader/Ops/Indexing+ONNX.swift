import BinaryIO
import GraphIR

extension OperatorTable {
  /// Operators that choose, join and surround elements.
  static let indexing = [
    OperatorEntry("Slice", 1...5, importSlice),
    OperatorEntry("Gather", 2...2) { (node) throws(Refusal) in
      try node.finish(.gather(Gather(axis: node.attributes.int("axis") ?? 0)), node.inputs())
    },
    OperatorEntry("GatherElements", 2...2, since: 11) { (node) throws(Refusal) in
      let op = GatherElements(axis: try node.attributes.int("axis") ?? 0)
      try node.finish(.gatherElements(op), node.inputs())
    },
    OperatorEntry("GatherND", 2...2, since: 11) { (node) throws(Refusal) in
      let op = GatherND(batchDims: try node.attributes.int("batch_dims") ?? 0)
      try node.finish(.gatherND(op), node.inputs())
    },
    OperatorEntry("ScatterND", 3...3, since: 11) { (node) throws(Refusal) in
      let reduction = try node.attributes.string("reduction") ?? "none"
      guard reduction == "none" else {
        throw NodeAttributes.unsupported(
          "reduction",
          "is \(Refusal.quoted(reduction)), only none is supported"
        )
      }
      try node.finish(.scatterND(ScatterND()), node.inputs())
    },
    OperatorEntry("Trilu", 1...2, since: 14, importTrilu),
    OperatorEntry("Concat", 1...65_536) { (node) throws(Refusal) in
      guard let axis = try node.attributes.int("axis") else {
        throw NodeAttributes.refusal("axis", "is missing")
      }
      let inputs = try node.inputs()
      if inputs.count == 1 {
        node.alias(inputs[0])
      } else {
        try node.finish(.concat(Concat(axis: axis)), inputs)
      }
    },
    OperatorEntry("Split", 1...2, outputs: 1...65_536, importSplit),
    OperatorEntry("Pad", 1...4, importPad),
  ]

  /// A triangle of a matrix, where `column >= row + k`, or `<=` for the lower one; elsewhere 0.
  private static func importTrilu(_ node: inout NodeImporter) throws(Refusal) {
    let x = try node.input(0)
    let isUpper = try node.attributes.bool("upper") ?? true
    let diagonal = node.make(try Tensor.int64s([try node.constantInts(1, "diagonal")?.first ?? 0], []), "k")
    let shape = try node.emit(.shape(ShapeOf()), [x], "shape")
    let (zero, one) = (
      node.make(try Tensor.int64s([0], []), "zero"), node.make(try Tensor.int64s([1], []), "one")
    )
    func positions(_ axis: Int, _ name: String) throws(Refusal) -> Operand {
      let index = node.make(try Tensor.int64s([axis], []), "axis")
      let extent = try node.emit(.gather(Gather()), [shape, index], name)
      return try node.emit(.range(RangeOp()), [zero, extent, one], "\(name)_range")
    }
    let rows = try node.emit(.unsqueeze(Unsqueeze(axes: [1])), [positions(-2, "rows")], "column")
    let first = try node.emit(.binary(Binary(.add)), [rows, diagonal], "diagonal")
    let kind: Compare.Kind = isUpper ? .greaterOrEqual : .lessOrEqual
    let isInside = try node.emit(.compare(Compare(kind)), [positions(-1, "columns"), first], "inside")
    let nothing = ConstantOfShape(dtype: node.type(x).dtype)
    let scalar = node.make(try Tensor.int64s([]), "scalar")
    let outside = try node.emit(.constantOfShape(nothing), [scalar], "outside")
    try node.finish(.where(Where()), [isInside, x, outside])
  }

  /// Ranges are attributes up to opset 9, then operands.
  private static func importSlice(_ node: inout NodeImporter) throws(Refusal) {
    let x = try node.input(0)
    if node.operatorSet < 10 {
      guard let starts = try node.attributes.ints("starts"), let ends = try node.attributes.ints("ends"),
        node.node.inputs.count == 1
      else { throw node.refusal("O27", "must have the attributes 'starts' and 'ends'") }
      let axes = try node.attributes.ints("axes")
      return try node.finish(.slice(Slice(starts: starts, ends: ends, axes: axes)), [x])
    }
    let operands = [try node.input(1), try node.input(2), node.optional(3), node.optional(4)]
    let known = operands.map { $0.flatMap(node.knownInts) }
    let areKnown = zip(operands, known).allSatisfy { ($0 == nil) == ($1 == nil) }
    if areKnown {
      try node.finish(
        .slice(Slice(starts: known[0], ends: known[1], axes: known[2], steps: known[3])),
        [x]
      )
    } else {
      try node.finish(.slice(Slice()), [x] + operands)
    }
  }

  /// Sizes are an attribute up to opset 12, then an operand; without them the parts are equal, the last one smaller.
  private static func importSplit(_ node: inout NodeImporter) throws(Refusal) {
    let x = try node.input(0)
    let type = node.type(x)
    let axis = try node.attributes.int("axis") ?? 0
    let count = node.node.outputs.count
    var sizes = try node.listAttribute(node.operatorSet < 13 ? "split" : "split sizes", operandSince: 13)
    if node.operatorSet >= 18, let declared = try node.attributes.int("num_outputs"), declared != count {
      throw NodeAttributes.refusal("num_outputs", "is \(declared), the node has \(count) outputs")
    }
    guard (-type.rank..<type.rank).contains(axis) else {
      throw NodeAttributes.refusal("axis", "is \(axis), the input is \(type)")
    }
    if sizes == nil {
      guard let extent = type.dims[axis < 0 ? axis + type.rank : axis].value else {
        throw node.unsupported(
          "the split axis has no known extent",
          remedy: "export the model with explicit split sizes"
        )
      }
      let part = (extent + count - 1) / count
      guard node.operatorSet >= 18 || extent % count == 0, part * (count - 1) <= extent else {
        throw node.refusal("O42", "an axis of \(extent) does not split into \(count) parts")
      }
      sizes = Array(repeating: part, count: count - 1) + [extent - part * (count - 1)]
    }
    guard sizes?.count == count else {
      throw node.refusal("O26", "has \(sizes?.count ?? 0) split sizes and \(count) outputs")
    }
    try node.finish(.split(Split(axis: axis, sizes: sizes)), [x], outputs: count)
  }

  /// Amounts and value are attributes up to opset 10, then operands; since opset 18 for chosen axes.
  private static func importPad(_ node: inout NodeImporter) throws(Refusal) {
    let x = try node.input(0)
    let name = try node.attributes.string("mode") ?? "constant"
    guard let mode = Pad.Mode(rawValue: name) else {
      throw NodeAttributes.unsupported(
        "mode",
        "is \(Refusal.quoted(name)), must be constant, reflect or edge"
      )
    }
    guard var pads = try node.listAttribute("pads", operandSince: 11) else {
      throw NodeAttributes.refusal("pads", "is missing")
    }
    var value: Float = 0
    if node.operatorSet < 11 {
      value = try node.attributes.float("value") ?? 0
    } else {
      value = try node.constantFloats(2, "padding value")?.first ?? 0
    }
    if let axes = try node.constantInts(3, "axes") {
      pads = try spread(pads, axes, rank: node.type(x).rank, node)
    }
    try node.finish(.pad(Pad(pads: pads, mode: mode, value: mode == .constant ? value : 0)), [x])
  }

  /// Amounts for all axes from those of some.
  private static func spread(
    _ pads: [Int],
    _ axes: [Int],
    rank: Int,
    _ node: NodeImporter
  ) throws(Refusal) -> [Int] {
    guard pads.count == 2 * axes.count, Set(axes.map { $0 < 0 ? $0 &+ rank : $0 }).count == axes.count else {
      throw node.refusal("O42", "has \(pads.count) amounts for the axes \(axes)")
    }
    var result = Array(repeating: 0, count: 2 * rank)
    for (index, axis) in axes.enumerated() {
      guard (-rank..<rank).contains(axis) else {
        throw node.refusal("O42", "pads axis \(axis) of \(rank)")
      }
      let along = axis < 0 ? axis + rank : axis
      result[along] = pads[index]
      result[along + rank] = pads[index + axes.count]
    }
    return result
  }
}
