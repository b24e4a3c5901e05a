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
  /// The error counted is that of the outputs' deviations from their means; the bias then mends the means. With `adaround`
  /// the weights aimed at are those that also undo, as far as a linear layer can, what earlier layers did to its
  /// inputs; several scales are tried per channel, and single integers are moved by 1 while that helps.
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
        evidence.moments.hasProducts, layer.ownsScales(graph)
      else { continue }
      if try layer.round(evidence, &graph, &context) { changed = true }
    }
    return changed
  }
}

extension QuantizedLayer {
  fileprivate func round(
    _ evidence: LayerEvidence,
    _ graph: inout Graph,
    _ context: inout PassContext
  ) throws(Refusal) -> Bool {
    let isRefined = context.options.rounding == .adaround
    let nearest = integers(graph)
    var integers = nearest
    var scales = scales(graph)
    let float = evidence.weight.elements(as: Float.self)
    let floors = scaleFloors(graph, bias: evidence.bias)
    var (before, after) = (0.0, 0.0)
    for group in 0..<groups {
      let covariance = evidence.moments.covariance(group, isCentred: takesBias)
      let rounding = CompensatedRounding(covariance: covariance, length: length)
      let target = isRefined ? Target(evidence.moments, group, covariance, isCentred: takesBias) : nil
      for channel in (group * channelsPerGroup)..<((group + 1) * channelsPerGroup) {
        let place = isPerChannel ? channel : 0
        let own = row(channel, of: float)
        let wanted = target?.weights(own) ?? own
        let standing = (0..<length).map { nearest[index(channel, $0)] }
        before += rounding.error(wanted, standing, Double(scales[place]))
        let row = best(
          wanted,
          rounding,
          scale: scales[place],
          floor: floors.isEmpty ? 0 : floors[channel],
          isRefined: isRefined
        )
        after += row.error
        if isPerChannel { scales[place] = row.scale }
        for (term, value) in row.values.enumerated() { integers[index(channel, term)] = value }
      }
    }
    guard integers != nearest, after < before else { return false }
    try setWeight(integers, scales, in: &graph)
    if takesBias { _ = try correctBias(evidence, &graph, &context) }
    let gain = after > 0 ? 10 * log10(before / after) : 0
    let text = "the error of rounding is \((gain * 10).rounded() / 10) dB lower on calibration data"
    context.remark(.applied, at: graph.label(of: id), text)
    return true
  }

  /// The best of the rows that some scales give; the given scale alone where all channels share one.
  private func best(
    _ wanted: [Double],
    _ rounding: CompensatedRounding,
    scale: Float,
    floor: Float,
    isRefined: Bool
  ) -> CompensatedRounding.Row {
    let sweeps = isRefined ? 8 : 0
    var best = rounding.round(wanted, scale: scale, sweeps: sweeps)
    guard isRefined, isPerChannel else { return best }
    let peak = wanted.reduce(0.0) { max($0, abs($1)) }
    let count = length <= 64 ? 24 : 4
    for step in 0..<count {
      let share = 1 - (length <= 64 ? 0.01 : 0.03) * Double(step)
      let candidate = Float(peak / 127 * share)
      guard candidate >= floor, QuantParams.isValidScale(candidate) else { continue }
      let row = rounding.round(wanted, scale: candidate, sweeps: sweeps)
      if row.error < best.error { best = row }
    }
    return best
  }
}

/// The weights that, applied to what the quantized layer reads, come nearest to the float layer's outputs:
/// `W + W E[(x − y) yᵀ] E[y yᵀ]⁻¹`.
private struct Target {
  private let length: Int
  private let cross: [Double]
  private let lower: [Double]

  /// Nil where the moments hold no cross products.
  init?(_ moments: PatchMoments, _ group: Int, _ covariance: [Double], isCentred: Bool) {
    guard moments.hasCrossProducts else { return nil }
    let length = moments.length
    self.length = length
    cross = moments.crossCovariance(group, isCentred: isCentred)
    var damped = covariance
    let mean = (0..<length).reduce(0.0) { $0 + covariance[$1 * length + $1] } / Double(max(length, 1))
    for index in 0..<length { damped[index * length + index] += mean > 0 ? 0.01 * mean : 1 }
    lower = Cholesky.lower(damped, length)
  }

  func weights(_ own: [Double]) -> [Double] {
    var projected = [Double](repeating: 0, count: length)
    unsafe cross.withUnsafeBufferPointer { (cross) in
      unsafe projected.withUnsafeMutableBufferPointer { (projected) in
        for (row, weight) in own.enumerated() where weight != 0 {
          let base = row &* length
          for column in 0..<length { unsafe projected[column] += weight * cross[base &+ column] }
        }
      }
    }
    let change = Cholesky.solve(lower, projected)
    return zip(own, change).map { $0 + $1 }
  }
}
