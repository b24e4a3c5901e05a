internal import BinaryIO

extension BenchReport {
  /// The report for people, at most 100 columns wide.
  public var text: String {
    guard let first = results.first else { return "nothing was measured\n" }
    var blocks = ["\(first.cpu); times in ms; load: from file to first result; MB: held between runs"]
    for threads in distinct(results.map(\.threads)) {
      blocks.append(timesText(groups.filter { $0[0].threads == threads }))
    }
    for result in results { blocks += BenchReport.profileText(result, labels) }
    return blocks.joined(separator: "\n\n") + "\n"
  }

  /// Results that were timed together: those of one batch size and thread count.
  private var groups: [[BenchResult]] {
    var groups: [[BenchResult]] = []
    for result in results {
      if let last = groups.last, last[0].threads == result.threads,
        !last.contains(where: { $0.model == result.model })
      {
        groups[groups.count - 1].append(result)
      } else {
        groups.append([result])
      }
    }
    return groups
  }

  /// Short names of the models: the file names where they tell the models apart.
  var labels: [String: String] {
    let paths = Set(results.map(\.model))
    let names = Dictionary(grouping: paths) { $0.split(separator: "/").last.map(String.init) ?? $0 }
    var labels: [String: String] = [:]
    for path in paths {
      let name = path.split(separator: "/").last.map(String.init) ?? path
      labels[path] = Refusal.printable(names[name]?.count == 1 ? name : path, limit: 400)
    }
    return labels
  }

  /// A table of groups with the same thread count.
  private func timesText(_ groups: [[BenchResult]]) -> String {
    let isComparison = groups.contains { $0.count > 1 }
    var header = ["model", "batch", "runs", "median", "mean", "std", "min", "p95", "per s", "load", "MB"]
    if isComparison { header.append("ratio") }
    var rows = [header]
    for group in groups {
      for result in group {
        let name = BenchReport.distinguished(labels[result.model] ?? "", isComparison ? 14 : 21)
        let times = [
          result.medianMS, result.meanMS, result.stdMS, result.minMS, result.p95MS, result.throughput,
          result.loadMS, Double(result.memoryBytes) / 1e6,
        ]
        rows.append([name, "\(result.batch)", "\(result.runs)"] + times.map(BenchReport.digits))
        if isComparison {
          rows[rows.count - 1].append(decimals(result.medianMS / max(group[0].medianMS, 1e-9), 3))
        }
      }
    }
    let threads = groups[0][0].threads
    return "\(threads) thread\(threads == 1 ? "" : "s")\n"
      + table(rows, indent: 2, right: Set(1..<header.count))
  }

  private static func profileText(_ result: BenchResult, _ labels: [String: String]) -> [String] {
    guard let profile = result.profile, let isa = profile.first?.isa else { return [] }
    let header = ["step", "result", "kernel", "as", "ms", "%", "GOP/s"]
    let rows = profile.map { step in
      [
        shortened(step.step, 26), shortened(step.shape.map { "\($0)" }.joined(separator: "x"), 15),
        shortened(step.kernel, 22), step.arithmetic, decimals(step.ms, step.ms >= 100 ? 1 : 3),
        decimals(100 * step.share, 1), step.gops.map { decimals($0, 1) } ?? "",
      ]
    }
    let whole = profile.map(\.ms).reduce(0, +)
    let integers = profile.filter { $0.arithmetic == "int8" }
    let title =
      "\(shortened(labels[result.model] ?? "", 50)), batch \(result.batch), threads \(result.threads): "
      + "kernels for \(isa)"
    let summary =
      "  sum \(decimals(whole, 3)) ms, the least of each step; \(integers.count) of \(profile.count) steps in int8, "
      + "\(decimals(100 * integers.map(\.share).reduce(0, +), 1)) % of the time"
    var blocks = ["\(title)\n\(table([header] + rows, indent: 2, right: [4, 5, 6]))\n\(summary)"]
    let reasons = profile.compactMap { step in
      step.reason.map { ["\(shortened(step.step, 40)):", Refusal.printable($0, limit: 56)] }
    }
    if !reasons.isEmpty { blocks.append("Float between integer steps\n" + table(reasons, indent: 2)) }
    return blocks
  }

  /// About four digits.
  private static func digits(_ value: Double) -> String {
    decimals(value, value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3)
  }

  /// A name cut in the middle, where names of models tell least.
  private static func distinguished(_ name: String, _ width: Int) -> String {
    guard name.count > width else { return name }
    let head = (width - 1) / 2
    return name.prefix(head) + "…" + name.suffix(width - 1 - head)
  }
}

/// The values without repetitions, in order of appearance.
private func distinct(_ values: [Int]) -> [Int] {
  values.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
}
