internal import BinaryIO
internal import Datasets
internal import Glibc
internal import GraphIR
internal import Runtime

/// Asks predictions which preprocessing is right where no layer remembers the training.
///
/// A network that sees what it knows is sure of each sample and predicts different classes for different ones: the entropy of
/// the mean prediction exceeds the mean entropy by much. This information falls under wrong preprocessing. It is evidence, not
/// proof: samples may well be of one class.
struct PredictionProbe {
  /// Samples that are predicted.
  private static let samples = 10
  /// The part of the greatest possible information that right samples reach.
  private static let sufficient = 0.6
  /// The factor by which another preprocessing must tell more.
  static let gain = 1.5

  let graph: Graph
  let dataset: Dataset
  /// What takes pixels to the samples.
  let source: InputTransform

  /// The preprocessing under which predictions tell most, if it is by far more than they tell now.
  ///
  /// Nil for networks whose outputs are no class scores.
  func better(among candidates: [NamedPreprocessing]) throws(Refusal) -> (flags: String, factor: Double)? {
    let part = dataset.spread(PredictionProbe.samples)
    guard part.count > 3, !isTransformer, let input = graph.inputs.first, let output = graph.outputs.first
    else { return nil }
    var tensors: [Tensor] = []
    for index in 0..<part.count {
      guard let tensor = try part.sample(index).inputs[graph[input].name], tensor.dtype == .float32,
        tensor.shape.count == 4, tensor.shape[1] == source.scale.count
      else { return nil }
      tensors.append(tensor)
    }
    let session = try Session(graph, options: QConvert.sessionOptions(threads: nil))
    func information(_ change: InputTransform) throws(Refusal) -> (found: Double, limit: Double)? {
      var scores: [[Double]] = []
      for tensor in tensors {
        let result = try session.run([graph[input].name: try change.applied(to: tensor)])[graph[output].name]
        guard let values = result?.floatValues(), values.count > 1, result?.shape.count == 2 else {
          return nil
        }
        scores.append(values.map(Double.init))
      }
      let limit = log(Double(min(scores.count, scores[0].count)))
      return (PredictionProbe.information(scores), limit)
    }
    guard let given = try information(InputTransform(channels: source.scale.count)),
      given.found < PredictionProbe.sufficient * given.limit
    else { return nil }
    var best: (flags: String, found: Double)?
    for candidate in candidates {
      let wanted = InputTransform(candidate.preprocessing, channels: source.scale.count)
      guard !wanted.isClose(to: source), let result = try information(wanted.following(source)) else {
        continue
      }
      if result.found > best?.found ?? 0 { best = (candidate.flags, result.found) }
    }
    guard let best, best.found >= PredictionProbe.gain * given.found,
      best.found >= PredictionProbe.sufficient * given.limit
    else { return nil }
    return (best.flags, min(99, best.found / max(given.found, 1e-3)))
  }

  /// Whether the network has attention: such networks take long, and are seldom fed otherwise than they declare.
  private var isTransformer: Bool {
    let count = graph.order.count { id in
      guard case .softmax = graph[id].op else { return false }
      return true
    }
    return count > 1
  }

  /// The entropy of the mean of softmax distributions less the mean of their entropies, in nats.
  static func information(_ scores: [[Double]]) -> Double {
    guard let classes = scores.first?.count else { return 0 }
    var mean = [Double](repeating: 0, count: classes)
    var own = 0.0
    for row in scores {
      guard row.count == classes, row.allSatisfy(\.isFinite), let peak = row.max() else { return 0 }
      let powers = row.map { exp($0 - peak) }
      let sum = powers.reduce(0, +)
      let shares = powers.map { $0 / sum }
      own += entropy(shares) / Double(scores.count)
      for index in mean.indices { mean[index] += shares[index] / Double(scores.count) }
    }
    return max(0, entropy(mean) - own)
  }

  private static func entropy(_ shares: [Double]) -> Double {
    -shares.reduce(0) { $0 + ($1 > 0 ? $1 * log($1) : 0) }
  }
}

extension InputTransform {
  /// A changed copy of an f32 image `[1, C, H, W]`.
  func applied(to tensor: Tensor) throws(Refusal) -> Tensor {
    let values = tensor.elements(as: Float.self)
    let area = values.count / max(scale.count, 1)
    var result = values
    for channel in scale.indices {
      let (factor, offset) = (Float(scale[channel]), Float(shift[channel]))
      let start = order[channel] * area
      for index in 0..<area { result[channel * area + index] = values[start + index] * factor + offset }
    }
    return try Tensor.floats(result, tensor.shape)
  }
}
