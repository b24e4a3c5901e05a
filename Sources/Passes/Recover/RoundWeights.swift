import BinaryIO
import Glibc
import GraphIR
import Quantization

extension Pass {
  /// Rounds the weights of a linear layer so that their errors cancel on calibration data.
  ///
  /// Before:                                     After:
  ///     const %w: i8[..] = nearest(W / s)           const %w: i8[..] = compensated(W / s)
  ///     %1 = conv(%x.dq, %w.dq, %b.dq)              %1 = conv(%x.dq, %w.dq, %b'.dq)
  ///
  /// The error counted is that of the outputs' deviations from their means, on what the quantized layer reads; the bias then mends the
  /// means. With `adaround` several scales are tried per channel, and single integers are moved by 1 while that brings the output
  /// behind the activation nearer to the float weights'. What earlier layers did to the data is not made up
  /// for.
  ///
  /// Not applied: to layers without calibration evidence, with a shared weight or with more products per output than the evidence
  /// holds.
  public static let roundWeights = Pass(
    name: "round-weights",
    summary: "Let the rounding errors of weights cancel on calibration data, for --rounding.",
    requires: ["quantize-weights", "quantize-bias"]
  ) { (graph, context) throws(Refusal) in
    guard context.options.rounding != .nearest else { return false }
    var changed = false
    for id in graph.order {
      guard let evidence = context.evidence[id], let layer = QuantizedLayer(graph, id),
        let table = evidence.table, table.vectors > 0, layer.ownsScales(graph)
      else { continue }
      if try layer.round(evidence, table, &graph, &context) { changed = true }
    }
    return changed
  }
}

extension QuantizedLayer {
  fileprivate func round(
    _ evidence: LayerEvidence,
    _ table: PatchTable,
    _ graph: inout Graph,
    _ context: inout PassContext
  ) throws(Refusal) -> Bool {
    let isRefined = context.options.rounding == .adaround
    let nearest = integers(graph)
    var integers = nearest
    var scales = scales(graph)
    var (before, after) = (0.0, 0.0)
    let rounding = LayerRounding(
      layer: self,
      evidence: evidence,
      table: table,
      weights: evidence.weight.elements(as: Float.self),
      standing: nearest,
      scales: scales,
      floors: scaleFloors(graph, bias: evidence.bias),
      isRefined: isRefined
    )
    for (channel, outcome) in rounding.outcomes(threads: context.threads).enumerated() {
      before += outcome.before
      after += outcome.row.error
      if isPerChannel { scales[channel] = outcome.row.scale }
      for (term, value) in outcome.row.values.enumerated() { integers[index(channel, term)] = value }
    }
    guard integers != nearest, after < before else { return false }
    let untouched = graph
    try setWeight(integers, scales, in: &graph)
    if takesBias, try !setBias(correctedBias(evidence.onQuantizedData, graph), in: &graph) {
      graph = untouched
      context.missed(graph, id, "the bias that belongs to other integers does not fit the accumulator (K5)")
      return false
    }
    let gain = after > 0 ? 10 * log10(before / after) : 0
    let text = "the error of rounding is \((gain * 10).rounded() / 10) dB lower on calibration data"
    context.remark(.applied, at: graph.label(of: id), text)
    return true
  }
}

/// What is known of a layer whose weights are rounded.
private struct LayerRounding: Sendable {
  struct Outcome: Sendable {
    var row: OutputFitting.Row
    /// The error of the integers that stood there.
    var before: Double
  }

  let layer: QuantizedLayer
  let evidence: LayerEvidence
  let table: PatchTable
  let weights: [Float]
  /// The integers that stand there.
  let standing: [Int8]
  let scales: [Float]
  let floors: [Float]
  let isRefined: Bool

  /// One outcome per output channel.
  func outcomes(threads: Int) -> [Outcome] {
    let isSpread = layer.groups > 1
    return Parallel.map(layer.groups, threads: isSpread ? threads : 1) { group in
      let rounding = GroupRounding(self, group, threads: isSpread ? 1 : threads)
      return Parallel.map(layer.channelsPerGroup, threads: isSpread ? 1 : threads) { index in
        let channel = group * layer.channelsPerGroup + index
        return isRefined ? rounding.refined(channel) : rounding.compensated(channel)
      }
    }.flatMap(\.self)
  }
}

/// Rounds the channels of one group.
private struct GroupRounding: Sendable {
  typealias Outcome = LayerRounding.Outcome

  private let known: LayerRounding
  private let columns: PatchColumns
  private let rounding: CompensatedRounding
  private let fitting: OutputFitting
  private let means: [Double]

  init(_ known: LayerRounding, _ group: Int, threads: Int) {
    self.known = known
    let layer = known.layer
    means = Array(known.evidence.means.quantized(group))
    columns = PatchColumns(known.table, group, centre: layer.takesBias ? means : means.map { _ in 0 })
    rounding = CompensatedRounding(covariance: columns.covariance(threads: threads), length: layer.length)
    fitting = OutputFitting(columns, layer.activation)
  }

  private var layer: QuantizedLayer { known.layer }

  private func scale(_ channel: Int) -> Float { known.scales[layer.isPerChannel ? channel : 0] }

  private func floor(_ channel: Int) -> Float { known.floors.isEmpty ? 0 : known.floors[channel] }

  private func standingRow(_ channel: Int) -> [Int8] {
    (0..<layer.length).map { known.standing[layer.index(channel, $0)] }
  }

  /// The weights rounded so that their errors cancel.
  func compensated(_ channel: Int) -> Outcome {
    let wanted = layer.row(channel, of: known.weights)
    let row = rounding.round(wanted, scale: scale(channel), sweeps: 0)
    return Outcome(
      row: .init(values: row.values, scale: row.scale, error: row.error),
      before: rounding.error(wanted, standingRow(channel), Double(scale(channel)))
    )
  }

  /// The weights rounded so that the output behind the activation comes near to the float weights'.
  func refined(_ channel: Int) -> Outcome {
    let own = layer.row(channel, of: known.weights)
    let bias = Double(known.evidence.bias[channel])
    let mean = layer.takesBias ? Float(zip(own, means).reduce(bias) { $0 + $1.0 * $1.1 }) : 0
    let standing = OutputFitting.Row(values: standingRow(channel), scale: scale(channel))
    let best = candidates(channel, own)
    let row = fitting.fit(
      OutputFitting.Row(values: best.values, scale: best.scale),
      to: own,
      mean: mean,
      floor: layer.isPerChannel ? floor(channel) : nil,
      rounds: fitting.isLinear ? 0 : 6
    )
    return Outcome(row: row, before: fitting.fit(standing, to: own, mean: mean, floor: nil, rounds: 0).error)
  }

  /// The best row of those that some scales give; of the given scale alone where all channels share one.
  private func candidates(_ channel: Int, _ wanted: [Double]) -> CompensatedRounding.Row {
    let floor = floor(channel)
    var scales = [scale(channel)]
    if layer.isPerChannel {
      let peak = wanted.reduce(0.0) { max($0, abs($1)) }
      let isShort = layer.length <= 64
      for step in 0..<(isShort ? 24 : 4) {
        let candidate = Float(peak / 127 * (1 - (isShort ? 0.01 : 0.03) * Double(step)))
        if candidate >= floor, QuantParams.isValidScale(candidate) { scales.append(candidate) }
      }
    }
    var best = rounding.round(wanted, scale: scales[0], sweeps: 8)
    for scale in scales.dropFirst() {
      let row = rounding.round(wanted, scale: scale, sweeps: 8)
      if row.error < best.error { best = row }
    }
    return best
  }
}
