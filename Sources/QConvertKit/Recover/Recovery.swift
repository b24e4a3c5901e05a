internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Passes
internal import Quantization
internal import Runtime

/// Mends the layers of a quantized network one after the other, from calibration data.
///
/// The float network runs on every sample once, where means are asked for. The quantized one runs piece by piece: up to the input of a
/// layer, which the passes then edit, and on from there. Memory is bounded: that of at most 128 samples and of the activations
/// that one place of the network holds for them, and of one layer's patches.
struct Recovery {
  /// The float network that was quantized.
  let float: Graph
  let options: PassOptions
  let threads: Int?

  /// Samples used, at most.
  private static let sampleLimit = 128
  /// Longest patch whose products are kept: 268 MB of them.
  private static let lengthLimit = 4096

  /// The inputs of ``sampleLimit`` samples spread over a dataset, or of all if there are fewer.
  static func samples(of dataset: Dataset) throws(Refusal) -> [[String: Tensor]] {
    let part = dataset.spread(sampleLimit)
    var samples: [[String: Tensor]] = []
    for index in 0..<part.count { samples.append(try part.sample(index).inputs) }
    return samples
  }

  /// Mends a network.
  ///
  /// - Parameters:
  ///   - graph: The quantized form of ``float``, its nodes having kept their ids.
  ///   - context: Collects remarks.
  ///   - dataset: The samples.
  ///   - apply: Runs the recovery passes on the graph.
  ///   - progress: Called with the layers done and of all.
  func run(
    on graph: inout Graph,
    _ context: inout PassContext,
    _ dataset: Dataset,
    apply: (inout Graph, inout PassContext) throws(Refusal) -> Void,
    progress: (Int, Int) -> Void
  ) throws(Refusal) {
    let samples = try Recovery.samples(of: dataset)
    let layers = QuantizedLayer.all(in: graph).compactMap { layer in
      LayerUnderRepair(layer, graph, float, options, limit: Recovery.lengthLimit, samples: samples.count)
    }
    context.threads = threads ?? QConvert.processors
    var quantized = PiecewiseRun(graph, samples: samples, threads: threads)
    let means = options.correctsBias ? try FloatEvidence(layers, float, samples, threads: threads).means : [:]
    for (index, layer) in layers.enumerated() {
      try quantized.advance(graph, to: layer.source)
      if let evidence = try layer.evidence(float, means[layer.floatRead], quantized) {
        context.evidence = [layer.layer.id: evidence]
        try apply(&graph, &context)
        context.evidence = [:]
      }
      progress(index + 1, layers.count)
    }
  }
}

extension Recovery {
  /// What the passes before calibration did, such as `smooth-activations: 24 of 36; split-outlier-columns: 2 of 12`.
  static func summary(_ remarks: ArraySlice<Remark>) -> String {
    var names: [String] = []
    for remark in remarks where !names.contains(remark.pass) { names.append(remark.pass) }
    let parts = names.map { name in
      let own = remarks.filter { $0.pass == name }
      return "\(name): \(own.count { $0.kind == .applied }) of \(own.count)"
    }
    return parts.isEmpty ? "nothing to gain" : parts.joined(separator: "; ")
  }
}

/// A layer with what is needed to gather evidence about it.
struct LayerUnderRepair {
  let layer: QuantizedLayer
  /// What the quantized layer reads: a u8 value, or a float one.
  let source: ValueID
  /// How the integers are meant; nil: ``source`` is float.
  private let params: QuantParams?
  /// Whether the channels of what it reads lie along the last axis, not along the second.
  let hasChannelsLast: Bool
  /// What the float layer reads.
  let floatRead: FloatEvidence.Read
  let gatherer: PatchGatherer
  /// Whether the patches themselves are needed, not only their means.
  let keepsPatches: Bool
  /// Patches taken from one sample, at most.
  let patchLimit: Int
  /// Patches of all samples, at most.
  let capacity: Int

  init?(
    _ layer: QuantizedLayer,
    _ graph: Graph,
    _ float: Graph,
    _ options: PassOptions,
    limit: Int,
    samples: Int
  ) {
    guard let floatData = layer.floatData(in: float), let isLast = layer.hasChannelsLast(in: float),
      let weight = float[layer.id].inputs[1], let shape = float[weight].type.knownDims,
      let gatherer = PatchGatherer(layer, op: float[layer.id].op, weightShape: shape)
    else { return nil }
    let integers = layer.integerData(in: graph)
    self.layer = layer
    source = integers?.value ?? layer.data
    params = integers?.params
    hasChannelsLast = isLast
    floatRead = FloatEvidence.Read(value: floatData, range: params?.range ?? -.infinity ... .infinity)
    self.gatherer = gatherer
    keepsPatches = options.rounding != .nearest && layer.length <= limit
    let wanted = keepsPatches ? 2048 + 4 * layer.length : 0
    patchLimit = max(1, (wanted + samples - 1) / max(samples, 1))
    capacity = patchLimit * samples
  }

  /// What both networks read.
  ///
  /// - Parameters:
  ///   - wanted: Means of the channels that the float network reads; nil: those that the quantized one reads.
  ///   - run: The quantized network, run up to the layer's input.
  func evidence(_ float: Graph, _ wanted: [Double]?, _ run: PiecewiseRun) throws(Refusal) -> LayerEvidence? {
    let params = if let known = self.params { known } else { try extent(run) }
    var table = PatchTable(
      groups: keepsPatches ? layer.groups : 0,
      length: layer.length,
      capacity: capacity,
      params: params
    )
    var sums: [Double] = []
    for sample in 0..<run.count {
      guard let tensor = run.value(source, of: sample) else { continue }
      let means = ChannelSums.means(of: tensor, isLast: hasChannelsLast)
      sums = sums.isEmpty ? means : zip(sums, means).map { $0 + $1 }
      guard keepsPatches else { continue }
      let integers = tensor.dtype == .uint8 ? tensor : try tensor.quantized(params)
      unsafe table.add(gatherer.count(of: tensor.shape, limit: patchLimit)) { (target, first) in
        unsafe gatherer.gather(integers, limit: patchLimit, into: target, capacity: capacity, from: first)
      }
    }
    let count = Double(max(run.count, 1))
    let given = sums.map { sum in
      self.params.map { (sum / count - Double($0.zeroPoint)) * Double($0.scale) } ?? sum / count
    }
    guard let quantized = layer.patchMeans(given, in: float),
      let original = layer.patchMeans(wanted ?? given, in: float)
    else { return nil }
    let means = PatchMeans(quantized: quantized, float: original, length: layer.length)
    return layer.evidence(from: float, means, keepsPatches ? table : nil)
  }

  /// Parameters that cover all that a float layer reads; its patches are kept in 8 bits as those of others are.
  private func extent(_ run: PiecewiseRun) throws(Refusal) -> QuantParams {
    var (low, high): (Float, Float) = (0, 0)
    for sample in 0..<run.count {
      for value in run.value(source, of: sample)?.elements(as: Float.self) ?? [] where value.isFinite {
        (low, high) = (min(low, value), max(high, value))
      }
    }
    return try QuantParams.uint8(covering: low...high)
  }
}

extension Tensor {
  /// An f32 tensor rounded to u8.
  fileprivate func quantized(_ params: QuantParams) throws(Refusal) -> Tensor {
    try Tensor.make(.uint8, shape, elements(as: Float.self).map { UInt8(clamping: params.quantize($0)) })
  }
}
