import BinaryIO
import GraphIR

extension OperatorTable {
  /// Normalisations.
  static let normalization = [
    OperatorEntry("BatchNormalization", 5...5, outputs: 1...5, importBatchNorm),
    OperatorEntry("LayerNormalization", 2...3, outputs: 1...3, since: 17, importLayerNorm),
    OperatorEntry("InstanceNormalization", 3...3, importInstanceNorm),
    OperatorEntry("GroupNormalization", 3...3, since: 18, importGroupNorm),
  ]

  /// Batch normalisation with stored statistics; up to opset 13, further outputs mean training.
  private static func importBatchNorm(_ node: inout NodeImporter) throws(Refusal) {
    node.attributes.ignore("momentum")
    let isTraining =
      node.operatorSet >= 14
      ? try node.attributes.bool("training_mode") ?? false
      : node.node.outputs.dropFirst().contains { !$0.isEmpty }
    if node.operatorSet < 9 { try node.attributes.expect("spatial", 1) }
    guard !isTraining else {
      throw node.unsupported(
        "it is in training mode",
        remedy: "call model.eval() before the export, and do not export with training=TrainingMode.TRAINING"
      )
    }
    let op = BatchNorm(epsilon: try node.attributes.float("epsilon") ?? 1e-5)
    try node.finish(.batchNorm(op), node.inputs())
  }

  /// A group normalisation whose groups are the channels.
  private static func importInstanceNorm(_ node: inout NodeImporter) throws(Refusal) {
    guard node.type(try node.input(0)).rank > 2 else {
      throw node.refusal("O42", "the input is \(node.type(try node.input(0))), must have spatial axes")
    }
    try normalizeGroups(&node, groups: 0)
  }

  private static func importGroupNorm(_ node: inout NodeImporter) throws(Refusal) {
    node.attributes.ignore("stash_type")
    guard let groups = try node.attributes.int("num_groups"), groups > 0 else {
      throw NodeAttributes.refusal("num_groups", "is missing or not positive")
    }
    let type = node.type(try node.input(0))
    guard type.rank > 1, (type.dims[1].value ?? 0) % groups == 0 else {
      throw node.refusal("O42", "the channels of \(type) do not form \(groups) groups")
    }
    try normalizeGroups(&node, groups: groups)
  }

  /// A layer normalisation of `[N, groups, rest]`, where 0 groups are as many as channels, then scale and bias.
  ///
  /// They have an element for each channel, those of GroupNormalization before opset 21 for each group.
  private static func normalizeGroups(_ node: inout NodeImporter, groups: Int) throws(Refusal) {
    let (x, scale, bias) = (try node.input(0), try node.input(1), try node.input(2))
    let isPerGroup = groups > 0 && node.operatorSet < 21
    let op = LayerNorm(epsilon: try node.attributes.float("epsilon") ?? 1e-5)
    let rows = try node.emit(.reshape(Reshape(shape: [0, groups, -1])), [x], "groups")
    let one = node.make(try Tensor.floats([1]), "one")
    var result = try node.emit(.layerNorm(op), [rows, one], "normalized")
    let axes = isPerGroup ? 1 : node.type(x).rank - 2
    if !isPerGroup { result = try reshape(result, like: x, node) }
    result = try combined(.mul, result, scale, neutral: 1, axes: axes, node)
    result = try combined(.add, result, bias, neutral: 0, axes: axes, node)
    node.alias(isPerGroup ? try reshape(result, like: x, node) : result)
  }

  private static func reshape(_ y: Operand, like x: Operand, _ node: NodeImporter) throws(Refusal) -> Operand
  {
    try node.reshape(y, to: node.type(x).dims.indices.map { .axis($0) }, of: x, "ungrouped")
  }

  /// `y` and a vector along its axis 1, which `axes` others follow; nothing where the vector changes nothing.
  private static func combined(
    _ kind: Binary.Kind,
    _ y: Operand,
    _ vector: Operand,
    neutral: Float,
    axes: Int,
    _ node: NodeImporter
  ) throws(Refusal) -> Operand {
    if let values = node.constant(vector)?.floatValues(), values.allSatisfy({ $0 == neutral }) { return y }
    let column = try node.emit(.unsqueeze(Unsqueeze(axes: Array(1..<axes + 1))), [vector], "column")
    return try node.emit(.binary(Binary(kind)), [y, column], kind.rawValue)
  }

  private static func importLayerNorm(_ node: inout NodeImporter) throws(Refusal) {
    node.attributes.ignore("stash_type")
    let op = LayerNorm(
      axis: try node.attributes.int("axis") ?? -1,
      epsilon: try node.attributes.float("epsilon") ?? 1e-5
    )
    try node.finish(.layerNorm(op), [node.input(0), node.input(1), node.optional(2)])
  }
}
