import BinaryIO
import Glibc
import GraphIR
import Quantization

extension Pass {
  /// Divides the channels that linear layers read by factors that even out their ranges, and multiplies the weights instead.
  ///
  /// Before:                                     After:
  ///     %1 = layer_norm(%x, %gamma, %beta)          %1 = layer_norm(%x, %gamma / s, %beta / s)
  ///     %2 = gemm(%1, %w, %b)                       %2 = gemm(%1, s · %w, %b)
  ///
  /// with `s_i = max|x_i|^a / max|w_i|^(1 − a)` per input channel `i`, where `a` is the one of off and 0.25 to 0.9 that gives
  /// the smallest error of the products on calibration data, over all layers that read the channels; what is found on one half of
  /// the samples is judged on the other. For `max|x_i|` stand four standard deviations where they are more. Values of attention reach
  /// the projection behind it the same way: the layer that makes them divides, the projection multiplies. Where something else reads
  /// the normalised values, too, the layers get a normalisation of their own.
  ///
  /// Not applied: to layers without samples of what they read; where no factor lowers the error by at least half a decibel.
  public static let smoothActivations = Pass(
    name: "smooth-activations",
    summary: "Move the ranges of channels from activations to weights, for --smooth."
  ) { (graph, context) throws(Refusal) in
    guard context.options.smooths else { return false }
    var changed = false
    for id in graph.order {
      for group in SmoothingGroup.all(from: id, graph) where try smooth(group, &graph, &context) {
        changed = true
      }
    }
    return changed
  }
}

/// The exponents that are tried, beside none at all.
private let exponents: [Float] = [0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]

private func smooth(
  _ group: SmoothingGroup,
  _ graph: inout Graph,
  _ context: inout PassContext
) throws(Refusal) -> Bool {
  let samples = group.users.compactMap { context.activations[$0.linear.data] }
  guard samples.count == group.users.count else { return false }
  let place = graph.label(of: group.source)
  let trials = zip(group.users, samples).compactMap { QuantizationTrial($0.linear, graph, $1, context) }
  guard trials.count == group.users.count else { return false }
  let signal = trials.reduce(0) { $0 + $1.signal }
  func error(_ factors: [Float]) -> Double {
    zip(trials, group.users).reduce(0) { sum, pair in
      sum + pair.0.error(dividedBy: pair.1.channels.map { factors[$0] })
    }
  }
  let plain = error([Float](repeating: 1, count: group.channels))
  var best: (exponent: Float, error: Double)?
  for exponent in context.options.smoothingExponent.map({ [$0] }) ?? exponents {
    let factors = group.factors(exponent, trials.map(\.fitted), trials)
    let found = error(factors)
    if found < best?.error ?? .infinity { best = (exponent, found) }
  }
  let isForced = context.options.smoothingExponent != nil
  guard signal > 0, let best, isForced || best.error < 0.89 * plain else {
    context.remark(
      .missed,
      at: place,
      "alpha off: the error is \(decibels(plain, signal)), and no factors lower it"
    )
    return false
  }
  try group.apply(group.factors(best.exponent, samples, trials), &graph, &context)
  context.remark(
    .applied,
    at: place,
    "alpha \(best.exponent): the error of what reads it is \(decibels(best.error, signal)), it was "
      + decibels(plain, signal)
  )
  return true
}

/// An error in relation to the signal, such as `-38.2 dB`.
func decibels(_ error: Double, _ signal: Double) -> String {
  guard error > 0, signal > 0 else { return "-inf dB" }
  return "\((100 * log10(error / signal)).rounded() / 10) dB"
}
