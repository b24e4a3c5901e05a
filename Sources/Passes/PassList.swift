/// All passes, for `--list-passes` and for checking names.
public enum PassList {
  /// In the order in which pipelines use them.
  public static let all: [Pass] = [
    .eliminateIdentities,
    .foldConstants,
    .simplifyShapes,
    .recognizeGlobalPool,
    .eliminateDeadCode,
    .foldPad,
    .foldScalars,
    .foldBatchNorm,
    .foldAttentionScale,
    .recognizeLayerNorm,
    .recognizeGelu,
    .recognizeActivations,
    .swapRelu6,
    .fuseActivation,
    .equalizeChannels,
    .smoothActivations,
    .splitOutlierColumns,
    .insertQuantStubs,
    .clampRelu6,
    .insertDynamicQuant,
    .quantizeWeights,
    .quantizeBias,
    .quantizeTables,
    .quantizeBlocks,
    .roundBlocks,
    .roundWeights,
    .correctBias,
    .convertToFp16,
  ]
}
