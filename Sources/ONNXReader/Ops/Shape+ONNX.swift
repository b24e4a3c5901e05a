import BinaryIO
import GraphIR

extension OperatorTable {
  /// Operators that keep the elements and change the shape.
  static let shape = [
    OperatorEntry("Reshape", 2...2) { (node) throws(Refusal) in
      let x = try node.input(0)
      let shape = try node.input(1)
      let allowZero = try node.attributes.bool("allowzero") ?? false
      if let known = node.knownInts(shape) {
        try node.finish(.reshape(Reshape(shape: known, allowZero: allowZero)), [x])
      } else {
        try node.finish(.reshape(Reshape(allowZero: allowZero)), [x, shape])
      }
    },
    OperatorEntry("Flatten", 1...1) { (node) throws(Refusal) in
      try node.finish(.flatten(Flatten(axis: node.attributes.int("axis") ?? 1)), [node.input(0)])
    },
    OperatorEntry("Squeeze", 1...2) { (node) throws(Refusal) in
      let axes = try node.listAttribute("axes", operandSince: 13)
      try node.finish(.squeeze(Squeeze(axes: axes)), [node.input(0)])
    },
    OperatorEntry("Unsqueeze", 1...2) { (node) throws(Refusal) in
      guard let axes = try node.listAttribute("axes", operandSince: 13) else {
        throw NodeAttributes.refusal("axes", "is missing")
      }
      try node.finish(.unsqueeze(Unsqueeze(axes: axes)), [node.input(0)])
    },
    OperatorEntry("Transpose", 1...1) { (node) throws(Refusal) in
      let x = try node.input(0)
      let reversed = Array((0..<node.type(x).rank).reversed())
      try node.finish(.transpose(Transpose(perm: node.attributes.ints("perm") ?? reversed)), [x])
    },
    OperatorEntry("Expand", 2...2, since: 8) { (node) throws(Refusal) in
      let x = try node.input(0)
      let shape = try node.input(1)
      if let known = node.knownInts(shape) {
        try node.finish(.expand(Expand(shape: known)), [x])
      } else {
        try node.finish(.expand(Expand()), [x, shape])
      }
    },
    OperatorEntry("Tile", 2...2, since: 6) { (node) throws(Refusal) in
      let x = try node.input(0)
      let repeats = try node.input(1)
      if let known = node.knownInts(repeats) {
        try node.finish(.tile(Tile(repeats: known)), [x])
      } else {
        try node.finish(.tile(Tile()), [x, repeats])
      }
    },
    OperatorEntry("DepthToSpace", 1...1, importDepthToSpace),
    OperatorEntry("SpaceToDepth", 1...1, importSpaceToDepth),
  ]

  /// Channels `[b, b, C]`, or `[C, b, b]` in mode CRD, become blocks of `b x b` pixels.
  private static func importDepthToSpace(_ node: inout NodeImporter) throws(Refusal) {
    let x = try node.input(0)
    let block = try blockSize(&node, x)
    let mode = try node.attributes.string("mode") ?? "DCR"
    guard mode == "DCR" || mode == "CRD" else {
      throw NodeAttributes.refusal("mode", "is \(Refusal.quoted(mode)), must be DCR or CRD")
    }
    guard let channels = node.type(x).dims[1].value, channels % (block * block) == 0 else {
      throw node.refusal("O42", "the channels of \(node.type(x)) are no multiple of \(block * block)")
    }
    let (b, c) = (Extent.known(block), Extent.known(channels / (block * block)))
    let parts = mode == "DCR" ? [b, b, c] : [c, b, b]
    let blocks = try node.reshape(x, to: [.axis(0)] + parts + [.axis(2), .axis(3)], of: x, "blocks")
    let perm = mode == "DCR" ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3]
    let pixels = try node.emit(.transpose(Transpose(perm: perm)), [blocks], "pixels")
    let shape = [Extent.axis(0), c, .axis(2, times: block), .axis(3, times: block)]
    node.alias(try node.reshape(pixels, to: shape, of: x, "depth_to_space"))
  }

  /// Blocks of `b x b` pixels become channels `[b, b, C]`.
  private static func importSpaceToDepth(_ node: inout NodeImporter) throws(Refusal) {
    let x = try node.input(0)
    let block = try blockSize(&node, x)
    let type = node.type(x)
    guard let channels = type.dims[1].value, type.dims[2...].allSatisfy({ ($0.value ?? 0) % block == 0 })
    else {
      throw node.refusal("O42", "\(type) has no whole blocks of \(block)x\(block)")
    }
    let b = Extent.known(block)
    let (rows, columns) = (Extent.axis(2, over: block), Extent.axis(3, over: block))
    let blocks = try node.reshape(x, to: [.axis(0), .known(channels), rows, b, columns, b], of: x, "blocks")
    let depths = try node.emit(.transpose(Transpose(perm: [0, 3, 5, 1, 2, 4])), [blocks], "depths")
    let shape = [.axis(0), Extent.known(block * block * channels), rows, columns]
    node.alias(try node.reshape(depths, to: shape, of: x, "space_to_depth"))
  }

  /// The attribute of a node on `[N, C, H, W]`.
  private static func blockSize(_ node: inout NodeImporter, _ x: Operand) throws(Refusal) -> Int {
    guard let block = try node.attributes.int("blocksize"), (1...1024).contains(block) else {
      throw NodeAttributes.refusal("blocksize", "is missing or not in 1...1024")
    }
    guard node.type(x).rank == 4 else {
      throw node.refusal("O42", "the input is \(node.type(x)), not an image")
    }
    return block
  }

  /// Operators that vanish.
  static let view = [
    OperatorEntry("Identity", 1...1) { (node) throws(Refusal) in node.alias(try node.input(0)) },
    OperatorEntry("Dropout", 1...3, outputs: 1...2, importDropout),
  ]

  /// Dropout does nothing in inference; exports with training preserved say so in an operand.
  private static func importDropout(_ node: inout NodeImporter) throws(Refusal) {
    node.attributes.ignore("ratio", "seed")
    if let mode = node.optional(2) {
      guard node.operatorSet >= 12, let isTraining = node.constant(mode)?.intValues()?.first else {
        throw node.notConstant("training mode")
      }
      let ratio = node.optional(1).flatMap { node.constant($0)?.floatValues()?.first } ?? 0.5
      guard isTraining == 0 || ratio == 0 else {
        throw node.unsupported(
          "it is in training mode, which makes the results random",
          remedy: "call model.eval() before the export"
        )
      }
    }
    node.alias(try node.input(0))
  }
}

/// An extent of a shape that is computed from that of an operand.
enum Extent {
  case known(Int)
  /// That of an axis of the operand, `times / over` as large.
  case axis(Int, times: Int = 1, over: Int = 1)
}

extension NodeImporter {
  /// A reshape to extents computed from those of `source`, when the graph runs where they are not known yet.
  func reshape(
    _ x: Operand,
    to extents: [Extent],
    of source: Operand,
    _ suffix: String
  ) throws(Refusal) -> Operand {
    let dims = type(source).dims
    let known = extents.map { (extent) -> Int? in
      switch extent {
      case .known(let value): value
      case .axis(let axis, let times, let over): dims[axis].value.map { $0 * times / over }
      }
    }
    // One extent may follow from the number of elements.
    if known.filter({ $0 == nil }).count <= 1, !known.contains(0) {
      return try emit(.reshape(Reshape(shape: known.map { $0 ?? -1 })), [x], suffix)
    }
    let shape = try emit(.shape(ShapeOf()), [source], "shape")
    var parts: [Operand] = []
    for (index, extent) in extents.enumerated() {
      switch extent {
      case .known(let value): parts.append(make(try Tensor.int64s([value]), "extent\(index)"))
      case .axis(let axis, let times, let over):
        let position = make(try Tensor.int64s([axis]), "axis\(index)")
        var part = try emit(.gather(Gather()), [shape, position], "extent\(index)")
        for (kind, factor) in [(Binary.Kind.mul, times), (.div, over)] where factor != 1 {
          part = try emit(
            .binary(Binary(kind)),
            [part, make(Tensor.int64s([factor]), "factor")],
            "scaled\(index)"
          )
        }
        parts.append(part)
      }
    }
    let joined = try emit(.concat(Concat(axis: 0)), parts, "extents")
    return try emit(.reshape(Reshape()), [x, joined], suffix)
  }

  /// A list that is an attribute in older opsets and a constant operand since `operandSince`.
  mutating func listAttribute(_ name: String, operandSince: Int, index: Int = 1) throws(Refusal) -> [Int]? {
    guard operatorSet < operandSince else { return try constantInts(index, name) }
    guard node.inputs.count <= index else {
      throw refusal("O26", "has '\(name)' as an input before opset \(operandSince)")
    }
    return try attributes.ints(name)
  }
}
