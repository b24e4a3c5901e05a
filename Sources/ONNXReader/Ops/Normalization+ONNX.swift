import BinaryIO
import GraphIR

extension OperatorTable {
  /// Normalisations.
  static let normalization = [
    OperatorEntry("BatchNormalization", 5...5, outputs: 1...5, importBatchNorm),
    OperatorEntry("LayerNormalization", 2...3, outputs: 1...3, since: 17, importLayerNorm),
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

  private static func importLayerNorm(_ node: inout NodeImporter) throws(Refusal) {
    node.attributes.ignore("stash_type")
    let op = LayerNorm(
      axis: try node.attributes.int("axis") ?? -1,
      epsilon: try node.attributes.float("epsilon") ?? 1e-5
    )
    try node.finish(.layerNorm(op), [node.input(0), node.input(1), node.optional(2)])
  }
}
