internal import BinaryIO

extension InspectReport {
  /// The report for people, with the ten largest tensors.
  public var text: String { text(largest: 10) }

  /// The report for people, at most 100 columns wide.
  ///
  /// - Parameter tensorCount: How many of the largest tensors are listed.
  public func text(largest tensorCount: Int) -> String {
    var blocks = [summary, accountingText, typesText, operatorsText, reasonsText, largestText(tensorCount)]
    blocks.append(provenance)
    return blocks.filter { !$0.isEmpty }.joined(separator: "\n\n")
  }

  private var summary: String {
    var rows = [
      ["file", byteText(fileBytes)],
      ["constants in the file", byteText(storedBytes)],
      ["weight payload", "\(byteText(payloadBytes)) = \(grouped(payloadBytes)) bytes"],
      ["activation scales", byteText(activationQparamsBytes)],
      ["constants in memory", byteText(residentBytes)],
      ["weights as fp32", "\(byteText(fp32Bytes)), \(ratioText) the file"],
      ["parameters", grouped(parameters)],
    ]
    if let peakActivationBytes {
      rows.append(["activations, batch 1", byteText(peakActivationBytes)])
    } else {
      rows.append(["activations, batch 1", "unknown: a shape is not fixed"])
    }
    rows.append(["linear operators", "\(quantizedOps) in int8, \(floatOps) in float"])
    for input in inputs { rows.append(["input", Refusal.printable(input, limit: 70)]) }
    for output in outputs { rows.append(["output", Refusal.printable(output, limit: 70)]) }
    return "\(Refusal.printable(file, limit: 400)): \(Refusal.printable(format))\n" + table(rows, indent: 2)
  }

  private var ratioText: String {
    fileBytes > 0 ? "\(decimals(Double(fp32Bytes) / Double(fileBytes), 2))x" : "-"
  }

  private var accountingText: String {
    let rows = accounting.map { [$0.name, grouped($0.bytes), percent($0.bytes, of: fileBytes)] }
    let total = accounting.map(\.bytes).reduce(0, +)
    return "Bytes of the file\n"
      + table(rows + [["total", grouped(total), percent(total, of: fileBytes)]], indent: 2, right: [1, 2])
  }

  private var typesText: String {
    guard !dtypes.isEmpty else { return "" }
    let header = ["type", "tensors", "elements", "bytes in memory", "bytes in the file"]
    let rows = dtypes.map { row in
      [row.dtype, grouped(row.tensors), grouped(row.elements), grouped(row.bytes), grouped(row.storedBytes)]
    }
    return "Element types\n" + table([header] + rows, indent: 2, right: [1, 2, 3, 4])
  }

  private var operatorsText: String {
    guard !ops.isEmpty else { return "" }
    let header = ["operator", "nodes", "int8", "fp16", "float", "other", "weight bytes"]
    let names = ops.keys.sorted { (ops[$1]?.weightBytes ?? 0, $0) < (ops[$0]?.weightBytes ?? 0, $1) }
    let rows = names.compactMap { name in
      ops[name].map { row in
        [name] + [row.count, row.int8, row.fp16, row.float, row.other, row.weightBytes].map(grouped)
      }
    }
    return "Operators\n" + table([header] + rows, indent: 2, right: [1, 2, 3, 4, 5, 6])
  }

  private var reasonsText: String {
    let rows = ops.keys.sorted().flatMap { name in
      (ops[name]?.reasons ?? [:]).sorted { $0.key < $1.key }.map { [name, grouped($0.value), $0.key] }
    }
    guard quantizedOps > 0, !rows.isEmpty else { return "" }
    return "Not in int8, because\n" + table(rows, indent: 2, right: [1])
  }

  private func largestText(_ count: Int) -> String {
    guard !tensors.isEmpty, count > 0 else { return "" }
    let header = ["tensor", "type", "bytes", "stored", "role"]
    let rows = tensors.prefix(count).map { row in
      let type = "\(row.dtype)\(row.shape)"
      return [
        Refusal.printable(row.name, limit: 40), type, grouped(row.bytes),
        row.codec == "raw" ? "raw" : "\(row.codec) \(grouped(row.storedBytes))", row.role,
      ]
    }
    let title = tensors.count > count ? "Largest \(count) of \(tensors.count) tensors" : "Tensors"
    return "\(title)\n" + table([header] + rows, indent: 2, right: [2])
  }

  private var provenance: String {
    let facts = [
      ("source", source), ("architecture", architecture), ("scheme", scheme), ("preset", preset),
      ("recovery", recovery), ("kept in float", keptFloat), ("budget", budget), ("calibration", calibration),
      ("preprocessing", preprocessing), ("passes", passes.isEmpty ? nil : passes.joined(separator: ", ")),
    ]
    var rows = facts.compactMap { name, value in value.map { [name, Refusal.printable($0, limit: 1000)] } }
    rows += checksums.keys.sorted().map { [$0, Refusal.printable(checksums[$0] ?? "")] }
    rows += notes.map { ["note", Refusal.printable($0, limit: 400)] }
    return rows.isEmpty ? "" : "Origin and checks\n" + table(rows, indent: 2)
  }

  private func percent(_ part: Int, of whole: Int) -> String {
    whole > 0 ? "\(decimals(100 * Double(part) / Double(whole), 2)) %" : "-"
  }
}

/// A size in both units, such as `3.62 MB (3.45 MiB)`; below 1000 bytes in bytes.
func byteText(_ bytes: Int) -> String {
  guard bytes >= 1000 else { return "\(bytes) bytes" }
  guard bytes >= 100_000 else {
    return "\(decimals(Double(bytes) / 1e3, 2)) kB (\(decimals(Double(bytes) / 1024, 2)) KiB)"
  }
  return "\(decimals(Double(bytes) / 1e6, 2)) MB (\(decimals(Double(bytes) / 1_048_576, 2)) MiB)"
}

/// A number with its digits in groups of three.
func grouped(_ number: Int) -> String {
  var result = ""
  for (index, digit) in String(number.magnitude).reversed().enumerated() {
    if index > 0, index % 3 == 0 { result.append(",") }
    result.append(digit)
  }
  return (number < 0 ? "-" : "") + String(result.reversed())
}

/// Columns two spaces apart, the last one as wide as it is.
///
/// - Parameters:
///   - rows: Cells.
///   - indent: Spaces before each line.
///   - right: Columns whose cells end in line.
func table(_ rows: [[String]], indent: Int, right: Set<Int> = []) -> String {
  var widths: [Int] = []
  for row in rows {
    for (column, cell) in row.enumerated() {
      if column == widths.count { widths.append(0) }
      widths[column] = max(widths[column], cell.count)
    }
  }
  let lines = rows.map { row in
    let cells = row.enumerated().map { column, cell in
      let padding = String(repeating: " ", count: widths[column] - cell.count)
      return right.contains(column) ? padding + cell : cell + padding
    }
    let line = String(repeating: " ", count: indent) + cells.joined(separator: "  ")
    return String(line.reversed().drop { $0 == " " }.reversed())
  }
  return lines.joined(separator: "\n")
}
