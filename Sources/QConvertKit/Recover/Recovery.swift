internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Passes
internal import Quantization
internal import Runtime

/// Mends the layers of a quantized network one after the other, from calibration data.
///
/// For each layer, in order, both networks run up to its input on every sample, the quantized one with the layers before already
/// mended; the passes then edit the layer. Networks with very many layers are mended a few layers at a time. Memory is
/// that of the samples, at most 64 of them, and of one stage's moments.
struct Recovery {
  /// The float network that was quantized.
  let float: Graph
  let options: PassOptions
  let threads: Int?

  /// Samples used, at most.
  static let sampleLimit = 64
  /// Stages, at most.
  private static let stageLimit = 64
  /// Longest patch whose products are kept: 268 MB of them.
  private static let lengthLimit = 4096

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
    let part = dataset.spread(Recovery.sampleLimit)
    var samples: [[String: Tensor]] = []
    for index in 0..<part.count { samples.append(try part.sample(index).inputs) }
    let layers = QuantizedLayer.all(in: graph)
    let size = max(1, (layers.count + Recovery.stageLimit - 1) / Recovery.stageLimit)
    for first in stride(from: 0, to: layers.count, by: size) {
      let stage = layers[first..<min(layers.count, first + size)].compactMap { layer in
        LayerUnderRepair(layer, float, options, limit: Recovery.lengthLimit, samples: samples.count)
      }
      context.evidence = try evidence(stage, graph, samples)
      try apply(&graph, &context)
      context.evidence = [:]
      progress(min(first + size, layers.count), layers.count)
    }
  }

  private func evidence(
    _ stage: [LayerUnderRepair],
    _ graph: Graph,
    _ samples: [[String: Tensor]]
  ) throws(Refusal) -> [NodeID: LayerEvidence] {
    guard !stage.isEmpty else { return [:] }
    let quantized = try Probe(graph, stage.map(\.layer.data), threads: threads)
    let original = try Probe(float, stage.map(\.floatData), threads: threads)
    var moments = stage.map(\.moments)
    for sample in samples {
      let left = try quantized.run(sample)
      let right = try original.run(sample)
      for (index, layer) in stage.enumerated() {
        guard let y = left[layer.layer.data], let x = right[layer.floatData] else { continue }
        let stride = moments[index].stride
        let given = layer.gatherer.patches(of: y, stride: stride, limit: layer.patchLimit)
        let wanted = layer.gatherer.patches(of: x, stride: stride, limit: layer.patchLimit)
        moments[index].add(quantized: given.values, float: wanted.values, patches: given.count)
      }
    }
    var result: [NodeID: LayerEvidence] = [:]
    for (layer, moments) in zip(stage, moments) {
      result[layer.layer.id] = layer.layer.evidence(from: float, moments)
    }
    return result
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
private struct LayerUnderRepair {
  let layer: QuantizedLayer
  let floatData: ValueID
  let gatherer: PatchGatherer
  let moments: PatchMoments
  /// Patches taken from one sample.
  let patchLimit: Int

  init?(_ layer: QuantizedLayer, _ float: Graph, _ options: PassOptions, limit: Int, samples: Int) {
    guard let floatData = layer.floatData(in: float),
      let weight = float[layer.id].inputs[1], let shape = float[weight].type.knownDims,
      let gatherer = PatchGatherer(layer, op: float[layer.id].op, weightShape: shape)
    else { return nil }
    let hasProducts = options.rounding != .nearest && layer.length <= limit
    self.layer = layer
    self.floatData = floatData
    self.gatherer = gatherer
    moments = PatchMoments(
      groups: layer.groups,
      length: layer.length,
      hasProducts: hasProducts,
      hasCrossProducts: hasProducts && options.rounding == .adaround
    )
    let wanted = hasProducts ? 1024 + 4 * layer.length : 16_384
    patchLimit = max(1, (wanted + samples - 1) / max(samples, 1))
  }
}

/// A part of a network that ends at some values.
private struct Probe {
  private let session: Session?
  private let inputs: [ValueID: String]
  private let outputs: [ValueID: String]

  init(_ graph: Graph, _ targets: [ValueID], threads: Int?) throws(Refusal) {
    var part = graph
    var computed: [ValueID] = []
    var inputs: [ValueID: String] = [:]
    for target in targets where inputs[target] == nil && !computed.contains(target) {
      if graph.inputs.contains(target) {
        inputs[target] = graph[target].name
      } else {
        computed.append(target)
      }
    }
    self.inputs = inputs
    outputs = Dictionary(uniqueKeysWithValues: computed.map { ($0, graph[$0].name) })
    guard let first = computed.first else {
      session = nil
      return
    }
    for index in part.outputs.indices { part.setOutput(index, to: first) }
    for target in computed.dropFirst() { part.addOutput(target) }
    part.removeUnused()
    session = try Session(part, options: QConvert.sessionOptions(threads: threads))
  }

  /// The values for a sample.
  func run(_ sample: [String: Tensor]) throws(Refusal) -> [ValueID: Tensor] {
    var result: [ValueID: Tensor] = [:]
    for (id, name) in inputs { result[id] = sample[name] }
    guard let session else { return result }
    let values = try session.run(sample)
    for (id, name) in outputs { result[id] = values[name] }
    return result
  }
}
