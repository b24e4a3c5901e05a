internal import BinaryIO

extension VerifyReport {
  /// The report for people, at most 100 columns wide except for long names in sentences.
  public var text: String {
    var lines = ["data           \(data)"]
    if synthetic {
      lines.append("               synthetic: shows that both compute the same, not how accurate they are")
    }
    if let top1Reference, let top1Candidate {
      lines.append(accuracy("top-1", top1Reference, top1Candidate))
    }
    if let top5Reference, let top5Candidate {
      lines.append(accuracy("top-5", top5Reference, top5Candidate))
    }
    if let top1Agreement { lines.append("agreement      \(percent(top1Agreement)) of the top-1 predictions") }
    lines.append(
      "cosine         \(decimals(cosine, 6)) mean, \(decimals(worstCosine, 6)) at worst (\(shortened(worstSample, 48)))"
    )
    lines.append("SQNR           \(ratio(sqnrDB))")
    lines.append("error          \(significant(maxAbsError)) at most, \(significant(meanAbsError)) mean")
    if let layers { lines += table(layers) }
    lines += findings.map { "note: \($0)" }
    lines += failures.map { "FAILED: \($0)" }
    return lines.joined(separator: "\n") + "\n"
  }

  private func accuracy(_ name: String, _ reference: Double, _ candidate: Double) -> String {
    let change = decimals(100 * (candidate - reference), 2)
    let sign = candidate > reference ? "+" : ""
    return
      "\(name)          \(percent(reference)) reference, \(percent(candidate)) candidate (\(sign)\(change) points)"
  }

  private func percent(_ share: Double) -> String { "\(decimals(100 * share, 2)) %" }

  private func ratio(_ decibels: Double) -> String {
    decibels >= SignalError.limit ? "equal outputs" : "\(decimals(decibels, 2)) dB"
  }

  private func table(_ layers: [Layer]) -> [String] {
    guard !layers.isEmpty else { return ["layers         none: the models have no value names in common"] }
    let name = max(5, min(48, layers.map(\.name.count).max() ?? 0))
    let op = max(2, min(20, layers.map(\.op.count).max() ?? 0))
    var lines = [
      "", "\(layerSamples ?? 0) samples, values that both models name alike:",
      "\(pad("layer", name))  \(pad("op", op))  \(right("SQNR dB", 8))  \(right("cosine", 9))  max error",
    ]
    for layer in layers {
      let mark = layer.name == firstLayerBelow ? "  <- first below \(decimals(layerBound ?? 0, 0))" : ""
      let decibels = layer.sqnrDB >= SignalError.limit ? "equal" : decimals(layer.sqnrDB, 2)
      lines.append(
        "\(pad(shortened(layer.name, name), name))  \(pad(layer.op, op))  \(right(decibels, 8))  "
          + "\(right(decimals(layer.cosine, 6), 9))  \(right(significant(layer.maxAbsError), 9))\(mark)"
      )
    }
    return lines + [""]
  }
}

private func pad(_ text: String, _ width: Int) -> String {
  text + String(repeating: " ", count: max(0, width - text.count))
}

private func right(_ text: String, _ width: Int) -> String {
  String(repeating: " ", count: max(0, width - text.count)) + text
}

/// The end of a long name, which tells more than its beginning; safe to print.
func shortened(_ name: String, _ width: Int) -> String {
  let text = Refusal.printable(name, limit: 400)
  return text.count <= width ? text : "…" + text.suffix(width - 1)
}

/// Three significant digits.
private func significant(_ value: Double) -> String {
  guard value != 0, value.isFinite else { return value == 0 ? "0" : "\(value)" }
  var exponent = 0
  var mantissa = abs(value)
  while mantissa >= 9.995 {
    mantissa /= 10
    exponent += 1
  }
  while mantissa < 0.9995 {
    mantissa *= 10
    exponent -= 1
  }
  guard exponent < -3 || exponent > 4 else { return decimals(value, max(0, 2 - exponent)) }
  return "\(value < 0 ? "-" : "")\(decimals(mantissa, 2))e\(exponent)"
}
