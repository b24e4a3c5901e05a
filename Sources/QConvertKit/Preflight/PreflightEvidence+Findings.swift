extension PreflightEvidence {
  private typealias Finding = PreflightReport.Finding

  /// Everything that is wrong, most serious first.
  var findings: [PreflightReport.Finding] {
    var found: [Finding] = []
    if statistics.nonFiniteSamples > 0 { found.append(nonFinite) }
    let broken = isMeasured ? constant ?? noise : nil
    if let broken { found.append(broken) }
    if isMeasured, broken?.certainty != .certain {
      if let finding = layer == nil ? unproven : normalization { found.append(finding) }
      if let finding = channelOrder { found.append(finding) }
    }
    if let finding = declaration, found.isEmpty { found.append(finding) }
    if let finding = repeated { found.append(finding) }
    if isCalibration, samples < PreflightBounds.fewSamples {
      found.append(
        Finding(
          cause: .tooFew,
          certainty: .likely,
          problem: "ranges observed on \(count(samples, "sample")) miss what other inputs do",
          remedy: "give 100 samples or so"
        )
      )
    }
    return found.filter { $0.certainty == .certain } + found.filter { $0.certainty == .likely }
  }

  private var nonFinite: Finding {
    Finding(
      cause: .nonFinite,
      certainty: .certain,
      problem: "\(statistics.nonFiniteSamples) of \(count(samples, "sample")) hold NaN or infinite values",
      remedy: "repair or remove them"
    )
  }

  private var constant: Finding? {
    let found = statistics.constantSamples
    guard found > 0 else { return nil }
    return Finding(
      cause: .constant,
      certainty: 2 * found >= samples ? .certain : .likely,
      problem: "\(found) of \(count(samples, "sample")) hold the same value everywhere",
      remedy: "give real samples, and check how these were made"
    )
  }

  private var noise: Finding? {
    let found = statistics.noiseSamples
    guard found > 0 else { return nil }
    return Finding(
      cause: .noise,
      certainty: 2 * found >= samples ? .certain : .likely,
      problem: "\(found) of \(count(samples, "sample")) are noise: neighbouring pixels are unrelated",
      remedy: isCalibration
        ? "give real images, or calibrate on noise by --calibrate synthetic" : "give real images"
    )
  }

  /// What the first layer's responses say of scale and shift.
  private var normalization: Finding? {
    guard let layer, layer.given >= PreflightBounds.likely(samples) else { return nil }
    let preset = layer.hypotheses.min { $0.distance < $1.distance }
    let isNamed =
      preset.map { $0.distance <= max(layer.best.distance + 0.05, 1.5 * layer.best.distance) } ?? false
    let left = min(layer.best.distance, preset?.distance ?? .infinity)
    let isMended = left <= PreflightBounds.mendedPart * layer.given
    let mended = isMended && left <= PreflightBounds.fitting
    guard mended || layer.given >= PreflightBounds.absurd || left <= layer.given / 2 else {
      return unlikeTraining(layer)
    }
    let isCertain =
      layer.given >= PreflightBounds.absurd || (mended && layer.given >= PreflightBounds.certain(samples))
    let flags = isNamed ? preset?.flags : isPreprocessed ? source.map { fittedFlags($0, layer) } : nil
    let found = layer.given >= PreflightBounds.absurd ? "far from" : "\(decimals(layer.given, 2)) nats from"
    let better =
      "\(found) training at \(layer.place), \(decimals(left, 2)) \(flags.map { "with \($0)" } ?? "if rescaled")"
    let (cause, problem) = cause(layer.best.transform)
    return Finding(
      cause: cause,
      certainty: isCertain ? .certain : .likely,
      problem: "\(problem) (\(better))",
      remedy: remedy(flags, layer.best.transform)
    )
  }

  private func cause(_ best: InputTransform) -> (PreflightReport.Cause, String) {
    let factor = best.scale.reduce(0, +) / Double(max(best.scale.count, 1))
    if factor < 1 / PreflightBounds.scaleFactor {
      return (
        .tooLarge,
        "\(range), about \(decimals(1 / factor, 0)) times the scale that the network was trained on"
      )
    }
    if factor > PreflightBounds.scaleFactor {
      return (
        .tooSmall,
        "\(range), about 1/\(decimals(factor, 0)) of the scale that the network was trained on: they seem to be normalised "
          + "already"
      )
    }
    return (.normalization, "\(range), with another mean or deviation than in training")
  }

  private func unlikeTraining(_ layer: Layer) -> Finding {
    Finding(
      cause: .unlikeTraining,
      certainty: .likely,
      problem:
        "the samples are unlike those of the training (\(decimals(layer.given, 2)) nats at \(layer.place))",
      remedy: "check the preprocessing and the kind of images"
    )
  }

  /// What sizes and predictions say where no layer tells of the training.
  private var unproven: Finding? {
    guard statistics.isImage else { return nil }
    let told = betterPredictions.map {
      "; with \($0.flags) predictions would tell \($0.factor >= 99 ? "far" : "\(decimals($0.factor, 1)) times") more"
    }
    let front = front ?? InputTransform(channels: statistics.channels.count)
    let sizes = front.scale.indices.map { channel in
      let moments = statistics.channels[front.order[channel]]
      let mean = front.scale[channel] * moments.mean + front.shift[channel]
      let deviation = abs(front.scale[channel]) * moments.deviation
      return (size: max(abs(mean), deviation), deviation: deviation)
    }
    if sizes.allSatisfy({ $0.size > 20 }) {
      return Finding(
        cause: .tooLarge,
        certainty: .likely,
        problem: "\(range), where networks take values around 1\(told ?? "")",
        remedy: remedy(betterPredictions?.flags ?? "--preprocess imagenet or --scale 255", nil)
      )
    }
    if self.front != nil, sizes.allSatisfy({ $0.deviation < 0.02 }) {
      return Finding(
        cause: .tooSmall,
        certainty: .likely,
        problem: "\(range), and the network scales its input down itself",
        remedy: remedy(betterPredictions?.flags ?? "--scale 1", nil)
      )
    }
    guard let betterPredictions, let told else { return nil }
    return Finding(
      cause: .normalization,
      certainty: .likely,
      problem: "\(range)\(told)",
      remedy: remedy(betterPredictions.flags, nil)
    )
  }

  private var channelOrder: Finding? {
    guard let layer, let exchange = layer.exchange, exchange.distance <= PreflightBounds.fitting,
      exchange.given - exchange.other > PreflightBounds.significance * exchange.error
    else { return nil }
    let isSwapped = source.map { $0.order.first != 0 } ?? false
    return Finding(
      cause: .channelOrder,
      certainty: .likely,
      problem:
        "red and blue seem to be exchanged (\(decimals(exchange.given, 3)) from training at \(layer.place), "
        + "\(decimals(exchange.other, 3)) in the other order)",
      remedy: isPreprocessed
        ? "give --channels \(isSwapped ? "rgb" : "bgr")" : "reverse the channels of the arrays"
    )
  }

  private var declaration: Finding? {
    guard let otherDeclaration, layer.map({ $0.given > PreflightBounds.fitting }) ?? true else { return nil }
    return Finding(
      cause: .declaration,
      certainty: .likely,
      problem: isPreprocessed
        ? "the images are preprocessed otherwise than the file declares"
        : "\(range), which is outside of what the file declares",
      remedy: remedy(otherDeclaration, nil)
    )
  }

  private var repeated: Finding? {
    guard duplicates > 0, 20 * duplicates >= samples else { return nil }
    return Finding(
      cause: .duplicates,
      certainty: samples >= 4 && duplicates == samples - 1 ? .certain : .likely,
      problem: "\(duplicates) of \(count(samples, "sample")) equal one before them",
      remedy: "give different samples"
    )
  }

  /// How the values lie.
  private var range: String {
    let (low, high) = (statistics.minimum, statistics.maximum)
    if statistics.areWhole, low >= 0, high <= 255, high > 1 { return "samples are pixels 0...255" }
    return "samples lie in \(short(low))...\(short(high))"
  }

  /// Flags of the mean and deviation that fit best.
  private func fittedFlags(_ source: InputTransform, _ layer: Layer) -> String {
    let whole = layer.best.transform.after(source)
    let count = Double(max(whole.scale.count, 1))
    let scale = whole.scale.reduce(0, +) / count
    let shift = whole.shift.reduce(0, +) / count
    return "--scale 255 --mean \(decimals(-shift / scale / 255, 2)) --std \(decimals(1 / scale / 255, 2))"
  }

  private func remedy(_ flags: String?, _ change: InputTransform?) -> String {
    if let flags {
      return isPreprocessed ? "give \(flags)" : "let the arrays hold what \(flags) makes of pixels 0...255"
    }
    guard let change, let scale = change.scale.first, let shift = change.shift.first else {
      return "check the preprocessing"
    }
    return "multiply the arrays by \(short(scale)) and add \(short(shift))"
  }
}

/// `1 sample`, `2 samples`.
private func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

/// About three significant digits.
private func short(_ value: Double) -> String {
  guard value.isFinite else { return "\(value)" }
  let size = abs(value)
  if size >= 100 || value == value.rounded() { return decimals(value, 0) }
  return decimals(value, size >= 1 ? 2 : size >= 0.01 ? 3 : 6)
}
