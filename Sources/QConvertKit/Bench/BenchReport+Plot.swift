internal import BinaryIO

extension BenchReport {
  /// An SVG picture: median latency against batch size, a line per model and thread count.
  ///
  /// A thin bar at each point reaches from the least time to the 95th percentile.
  public var plot: String { LatencyPlot(self).text }
}

/// Draws a report.
private struct LatencyPlot {
  private struct Line {
    let label: String
    let colour: String
    let dashes: String
    let points: [BenchResult]
  }

  private static let width = 920.0
  private static let height = 500.0
  private static let left = 70.0
  private static let right = 600.0
  private static let top = 70.0
  private static let bottom = 430.0
  /// Told apart with any colour vision, and in grey; the palette of Okabe and Ito without its yellow.
  private static let colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
  private static let dashes = ["", "7 4", "2 3", "9 3 2 3"]

  private let lines: [Line]
  private let x: PlotScale
  private let y: PlotScale
  private let cpu: String

  init(_ report: BenchReport) {
    let results = report.results
    cpu = results.first?.cpu ?? ""
    let labels = report.labels
    var models: [String] = []
    for result in results where !models.contains(result.model) { models.append(result.model) }
    let threads = Set(results.map(\.threads)).sorted()
    var lines: [Line] = []
    for (index, model) in models.enumerated() {
      for (number, count) in threads.enumerated() {
        let points = results.filter { $0.model == model && $0.threads == count }
        guard !points.isEmpty else { continue }
        lines.append(
          Line(
            label:
              "\(shortened(labels[model] ?? model, 28)), \(count == 1 ? "1 thread" : "\(count) threads")",
            colour: LatencyPlot.colours[index % LatencyPlot.colours.count],
            dashes: LatencyPlot.dashes[number % LatencyPlot.dashes.count],
            points: points.sorted { $0.batch < $1.batch }
          )
        )
      }
    }
    // The legend has the order in which the lines end.
    self.lines = lines.sorted { ($0.points.last?.medianMS ?? 0) > ($1.points.last?.medianMS ?? 0) }
    let times = results.flatMap { [$0.minMS, $0.p95MS, $0.medianMS].map { max($0, 1e-6) } }
    x = PlotScale(
      chosen: Set(results.map(\.batch)),
      pixels: (LatencyPlot.left + 24, LatencyPlot.right - 24)
    )
    y = PlotScale(values: times, pixels: (LatencyPlot.bottom, LatencyPlot.top))
  }

  var text: String {
    let (width, height) = (number(LatencyPlot.width), number(LatencyPlot.height))
    var parts = [
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(width)\" height=\"\(height)\" "
        + "viewBox=\"0 0 \(width) \(height)\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">",
      "<title>Latency by batch size</title>", "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>",
      label(LatencyPlot.left, 30, "Latency by batch size", "font-size=\"18\" font-weight=\"bold\""),
      label(LatencyPlot.left, 50, "median, bars from minimum to 95th percentile; \(cpu)", "fill=\"#555\""),
    ]
    parts += axes
    for line in lines { parts += drawing(of: line) }
    parts += legend
    return parts.joined(separator: "\n") + "\n</svg>\n"
  }

  private var axes: [String] {
    var parts: [String] = []
    for tick in y.ticks {
      parts.append(
        rule((LatencyPlot.left, y[tick]), (LatencyPlot.right, y[tick]), "stroke=\"#ddd\"")
      )
      parts.append(label(LatencyPlot.left - 8, y[tick] + 4.5, number(tick), "text-anchor=\"end\""))
    }
    for tick in x.ticks {
      parts.append(rule((x[tick], LatencyPlot.bottom), (x[tick], LatencyPlot.bottom + 5), "stroke=\"#222\""))
      parts.append(label(x[tick], LatencyPlot.bottom + 21, number(tick), "text-anchor=\"middle\""))
    }
    let (left, right, bottom) = (LatencyPlot.left, LatencyPlot.right, LatencyPlot.bottom)
    let middle = (LatencyPlot.top + bottom) / 2
    let scale = y.isLogarithmic ? "latency, ms (logarithmic)" : "latency, ms"
    return parts + [
      rule((left, bottom), (right, bottom), "stroke=\"#222\""),
      rule((left, LatencyPlot.top), (left, bottom), "stroke=\"#222\""),
      label((left + right) / 2, bottom + 46, "batch size, samples", "text-anchor=\"middle\""),
      label(0, 0, scale, "text-anchor=\"middle\" transform=\"translate(20 \(number(middle))) rotate(-90)\""),
    ]
  }

  private func drawing(of line: Line) -> [String] {
    let places = line.points.map { (x[Double($0.batch)], y[max($0.medianMS, 1e-6)]) }
    let path = places.map { "\(number($0.0)),\(number($0.1))" }.joined(separator: " ")
    var parts = [
      "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(line.colour)\" stroke-width=\"2\"\(dashes(line))/>"
    ]
    for (point, place) in zip(line.points, places) {
      parts.append(
        rule(
          (place.0, y[max(point.minMS, 1e-6)]),
          (place.0, y[max(point.p95MS, 1e-6)]),
          "stroke=\"\(line.colour)\" stroke-opacity=\"0.5\""
        )
      )
      parts.append(
        "<circle cx=\"\(number(place.0))\" cy=\"\(number(place.1))\" r=\"3.5\" fill=\"\(line.colour)\"/>"
      )
    }
    return parts
  }

  private var legend: [String] {
    let left = LatencyPlot.right + 16
    return lines.enumerated().flatMap { index, line in
      let row = LatencyPlot.top + 8 + 20 * Double(index)
      let style = "stroke=\"\(line.colour)\" stroke-width=\"2\"\(dashes(line))"
      return [
        rule((left, row), (left + 30, row), style),
        "<circle cx=\"\(number(left + 15))\" cy=\"\(number(row))\" r=\"3.5\" fill=\"\(line.colour)\"/>",
        label(left + 38, row + 4.5, line.label, ""),
      ]
    }
  }

  private func dashes(_ line: Line) -> String {
    line.dashes.isEmpty ? "" : " stroke-dasharray=\"\(line.dashes)\""
  }

  private func rule(_ from: (Double, Double), _ to: (Double, Double), _ style: String) -> String {
    "<line x1=\"\(number(from.0))\" y1=\"\(number(from.1))\" x2=\"\(number(to.0))\" y2=\"\(number(to.1))\" \(style)/>"
  }

  private func label(_ x: Double, _ y: Double, _ text: String, _ style: String) -> String {
    "<text x=\"\(number(x))\" y=\"\(number(y))\" \(style)>\(LatencyPlot.escaped(text))</text>"
  }

  /// At most three places, without zeros at the end.
  private func number(_ value: Double) -> String {
    let text = decimals(value, 3)
    guard text.contains(".") else { return text }
    let kept = text.reversed().drop { $0 == "0" }
    return String((kept.first == "." ? kept.dropFirst() : kept).reversed())
  }

  /// Text with the characters that mean something in XML replaced.
  private static func escaped(_ text: String) -> String {
    text.reduce(into: "") { result, character in
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
  }
}
