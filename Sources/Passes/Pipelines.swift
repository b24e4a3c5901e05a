import Quantization

/// Passes in the order in which they run.
public struct Pipeline: Sendable {
  /// A step of a pipeline.
  public enum Stage: Sendable {
    case once(Pass)
    /// Repeated together until none changes the graph.
    case fixpoint([Pass])
  }

  public let stages: [Stage]

  /// All passes, each at its first position.
  public var passes: [Pass] {
    stages.flatMap { stage in
      switch stage {
      case .once(let pass): [pass]
      case .fixpoint(let passes): passes
      }
    }
  }
}

/// The pipelines of a conversion.
public enum Pipelines {
  /// Simplifies a graph as it was read; the result still computes in float.
  ///
  /// Calibration observes this graph, so the quantizing pipeline must start from it: names of values are kept.
  public static let float = Pipeline(stages: [
    .fixpoint([
      .eliminateIdentities,
      .foldConstants,
      .simplifyShapes,  // after the constants, which make computed shapes known
      .eliminateDeadCode,
    ]),
    .once(.recognizeGlobalPool),  // after the constants, which hold the axes
    .once(.foldPad),  // before BatchNorm: a Pad between two of them would hide the convolution
    .fixpoint([
      .foldScalars,  // before BatchNorm, which wants nothing between it and the convolution
      .foldBatchNorm,
    ]),
    .once(.foldAttentionScale),  // after the scalars, which make linear layers of products and sums
    .once(.recognizeLayerNorm),
    .once(.recognizeGelu),
    .once(.recognizeGuardedSoftmax),
    .once(.recognizeActivations),  // before ReLU6: the clip inside of a hard-swish must not be touched
    .once(.swapRelu6),  // before fusion, which turns the clip into an attribute
    .once(.fuseActivation),  // after BatchNorm, which stands between a convolution and its activation
    .once(.equalizeChannels),  // after fusion, which tells what stands between two layers
    .once(.absorbBias),  // after the equalization, which scales what it moves
    .once(.eliminateDeadCode),
  ])

  /// Uncovers the first layer of a graph as it was read, BatchNorm and all.
  public static let preflight = Pipeline(stages: [
    .fixpoint([.eliminateIdentities, .foldConstants, .simplifyShapes, .eliminateDeadCode]),
    .once(.foldPad),
  ])

  /// Changes a prepared graph so that quantizing it costs less.
  ///
  /// The context holds samples of what its layers read. Calibration observes the result.
  public static func shape(_ options: PassOptions) -> Pipeline {
    var stages: [Pipeline.Stage] = []
    if options.smooths { stages.append(.once(.smoothActivations)) }
    // For what cannot be smoothed.
    if options.splitsOutliers { stages.append(.once(.splitOutlierColumns)) }
    // Last: it cuts the values that the others look at.
    if options.splitsTokens { stages.append(.once(.splitTokenGroups)) }
    return Pipeline(stages: stages)
  }

  /// Corrects biases of a quantized graph by means that the context holds.
  public static let correctMeans = Pipeline(stages: [.once(.correctBias)])

  /// Mends layers of a quantized graph for which the context holds evidence.
  public static func recover(_ options: PassOptions) -> Pipeline {
    var stages: [Pipeline.Stage] = []
    if options.rounding != .nearest { stages.append(.once(.roundWeights)) }
    if options.correctsBias { stages.append(.once(.correctBias)) }  // last: it depends on the integers
    return Pipeline(stages: stages)
  }

  /// Rounds weights in blocks anew for which the context holds evidence.
  public static let recoverBlocks = Pipeline(stages: [
    .once(.roundBlocks),
    .once(.eliminateDeadCode),  // the biases that were replaced
    .once(.convertToFp16),  // last: for the new ones
  ])

  /// Quantizes what the layers of a graph read that ``float`` has prepared, and leaves their weights as they are.
  public static func quantizeActivations(_ mode: ActivationMode) -> Pipeline {
    switch mode {
    case .none: Pipeline(stages: [])
    case .dynamic: Pipeline(stages: [.once(.insertDynamicQuant)])
    case .static: Pipeline(stages: [.once(.insertQuantStubs), .once(.clampRelu6)])
    }
  }

  /// Quantizes a graph that ``float`` has prepared.
  public static func quantize(_ options: PassOptions) -> Pipeline {
    switch (options.scheme, options.activations) {
    case (.fp32, _): Pipeline(stages: [])
    case (.fp16, _): Pipeline(stages: [.once(.convertToFp16)])
    case (.weightOnly, _):
      Pipeline(stages: [
        .once(.quantizeBlocks),
        .once(.quantizeTables),
        .once(.convertToFp16),  // last: for what stayed f32
      ])
    case (.int8, .none):
      Pipeline(stages: [.once(.quantizeWeights), .once(.quantizeRecurrences), .once(.quantizeTables)])
    case (.int8, .dynamic):
      Pipeline(stages: [
        .once(.correctBiasFromStatistics),  // before the quantizers, which hide what a layer reads
        .once(.insertDynamicQuant),
        .once(.quantizeWeights),
        .once(.quantizeRecurrences),
        .once(.quantizeTables),
        .once(.convertToFp16),  // after the weights and tables: for what stayed f32
      ])
    case (.int8, .static):
      Pipeline(stages: [
        .once(.correctBiasFromStatistics),  // before the quantizers, which hide what a layer reads
        .once(.insertQuantStubs),
        .once(.clampRelu6),  // after the stubs, whose saturation it relies on
        .once(.quantizeWeights),  // after the stubs: the input's scale bounds the weight's from below
        .once(.quantizeBias),  // after the weights: a bias has the scale of input times weight
        .once(.quantizeRecurrences),
        .once(.quantizeTables),
        .once(.convertToFp16),  // after the weights: for layers that are kept
      ])
    }
  }
}
