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
    .once(.recognizeLayerNorm),
    .once(.recognizeGelu),
    .once(.recognizeActivations),  // before ReLU6: the clip inside of a hard-swish must not be touched
    .once(.swapRelu6),  // before fusion, which turns the clip into an attribute
    .once(.fuseActivation),  // after BatchNorm, which stands between a convolution and its activation
    .once(.equalizeChannels),  // after fusion, which tells what stands between two layers
    .once(.eliminateDeadCode),
  ])

  /// Mends layers of a quantized graph for which the context holds evidence.
  public static func recover(_ options: PassOptions) -> Pipeline {
    var stages: [Pipeline.Stage] = []
    if options.rounding != .nearest { stages.append(.once(.roundWeights)) }
    if options.correctsBias { stages.append(.once(.correctBias)) }  // last: it depends on the integers
    return Pipeline(stages: stages)
  }

  /// Quantizes a graph that ``float`` has prepared.
  public static func quantize(_ options: PassOptions) -> Pipeline {
    switch (options.scheme, options.activations) {
    case (.fp32, _): Pipeline(stages: [])
    case (.fp16, _): Pipeline(stages: [.once(.convertToFp16)])
    case (.int8, .none): Pipeline(stages: [.once(.quantizeWeights), .once(.quantizeTables)])
    case (.int8, .dynamic):
      Pipeline(
        stages: [.once(.insertDynamicQuant), .once(.quantizeWeights), .once(.quantizeTables)]
          // after the weights and tables: for what stayed f32, which is patch embeddings and small tables
          + (options.activationGranularity == .perRow ? [.once(.convertToFp16)] : [])
      )
    case (.int8, .static):
      Pipeline(stages: [
        .once(.insertQuantStubs),
        .once(.clampRelu6),  // after the stubs, whose saturation it relies on
        .once(.quantizeWeights),  // after the stubs: the input's scale bounds the weight's from below
        .once(.quantizeBias),  // after the weights: a bias has the scale of input times weight
        .once(.quantizeTables),
      ])
    }
  }
}
