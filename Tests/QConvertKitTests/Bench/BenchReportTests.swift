import Foundation
import FoundationXML
import Testing

@testable import QConvertKit

@Suite struct BenchReportTests {
  /// A result with a median of `ms` and times around it.
  private func result(_ model: String, batch: Int = 1, threads: Int = 1, ms: Double) -> BenchResult {
    BenchResult(
      model: model,
      batch: batch,
      threads: threads,
      runs: 20,
      meanMS: ms * 1.1,
      stdMS: ms / 10,
      medianMS: ms,
      minMS: ms * 0.9,
      p95MS: ms * 1.5,
      throughput: Double(batch) * 1000 / ms,
      loadMS: 12.5,
      memoryBytes: 4_500_000,
      weightBytes: 3_000_000,
      activationBytes: 1_000_000,
      cpu: "A <fast> & \"good\" CPU",
      profile: nil
    )
  }

  private var sweep: BenchReport {
    var results: [BenchResult] = []
    for threads in [1, 2] {
      for batch in [1, 2, 4, 8] {
        let work = Double(batch) / Double(threads)
        results.append(result("zoo/net32.qmodel", batch: batch, threads: threads, ms: 10 * work))
        results.append(result("zoo/net8<&>.qmodel", batch: batch, threads: threads, ms: 2.5 * work))
      }
    }
    return BenchReport(results: results)
  }

  private var profiled: BenchReport {
    var some = result("a.qmodel", ms: 4)
    some.profile = [
      BenchResult.StepTime(
        step: "stem",
        shape: [1, 64, 112, 112],
        op: "integer conv",
        kernel: "to channels last + int8 conv 3x3",
        isa: "avx2",
        arithmetic: "int8",
        reason: nil,
        ms: 3,
        share: 0.75,
        gops: 120.5
      ),
      BenchResult.StepTime(
        step: String(repeating: "long/", count: 30),
        shape: [1024, 2048, 112, 112],
        op: "float softmax",
        kernel: "f32 softmax",
        isa: "avx2",
        arithmetic: "float",
        reason: "it has no integer form",
        ms: 1,
        share: 0.25,
        gops: nil
      ),
    ]
    return BenchReport(results: [some])
  }

  @Test("JSON is a list of objects with the documented keys")
  func json() throws {
    let bytes = try JSONEncoder().encode(profiled)
    let list = try #require(JSONSerialization.jsonObject(with: bytes) as? [[String: Any]])
    #expect(
      list[0].keys.sorted() == [
        "activation_bytes", "batch", "cpu", "load_ms", "mean_ms", "median_ms", "memory_bytes", "min_ms",
        "model", "p95_ms", "profile", "runs",
        "std_ms", "threads", "throughput_per_s", "weight_bytes",
      ]
    )
    let steps = try #require(list[0]["profile"] as? [[String: Any]])
    #expect(
      steps[0].keys.sorted() == ["arithmetic", "gops", "isa", "kernel", "ms", "op", "shape", "share", "step"]
    )
    #expect(steps[1]["reason"] as? String == "it has no integer form")
    #expect(try JSONDecoder().decode(BenchReport.self, from: bytes) == profiled)
  }

  @Test("the text fits 100 columns and shows the ratio to the first model")
  func text() {
    let long = "zoo/" + String(repeating: "very_long_name_", count: 8) + ".onnx"
    let results = [
      result("a.onnx", ms: 123_456.7), result(long, batch: 1024, ms: 61_728.35),
      result("a.onnx", threads: 2, ms: 0.00123),
    ]
    for report in [sweep, profiled, BenchReport(results: results)] {
      for line in report.text.split(separator: "\n") { #expect(line.count <= 100, "\(line)") }
    }
    let lines = sweep.text.split(separator: "\n")
    #expect(lines.filter { $0.hasSuffix("0.250") }.count == 8)
    #expect(lines.filter { $0 == "1 thread" || $0 == "2 threads" }.count == 2)
    #expect(BenchReport(results: results).text.contains("0.500"))
  }

  @Test("the profile names kernels and says why a step is float")
  func profileText() {
    let text = profiled.text
    #expect(text.contains("kernels for avx2") && text.contains("int8 conv 3x3"))
    #expect(text.contains("120.5") && text.contains("75.0") && text.contains("1x64x112x112"))
    #expect(text.contains("1 of 2 steps in int8") && text.contains("it has no integer form"))
  }

  @Test("file names that do not tell models apart are replaced by paths")
  func labels() {
    let report = BenchReport(results: [
      result("a/net.onnx", ms: 1), result("b/net.onnx", ms: 2), result("b/other.onnx", ms: 2),
    ])
    #expect(
      report.labels == ["a/net.onnx": "a/net.onnx", "b/net.onnx": "b/net.onnx", "b/other.onnx": "other.onnx"]
    )
  }

  @Test("nothing measured is said so")
  func empty() { #expect(BenchReport(results: []).text == "nothing was measured\n") }

  /// Counts elements and collects the text of a picture.
  private final class Reader: NSObject, XMLParserDelegate {
    var counts: [String: Int] = [:]
    var numbers: [Double] = []
    var text = ""

    func parser(
      _ parser: XMLParser,
      didStartElement name: String,
      namespaceURI: String?,
      qualifiedName: String?,
      attributes: [String: String]
    ) {
      counts[name, default: 0] += 1
      numbers += ["x", "x1", "x2", "cx"].compactMap { attributes[$0].flatMap(Double.init) }
      numbers += (attributes["points"] ?? "").split { $0 == " " || $0 == "," }.map { Double($0) ?? .nan }
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }
  }

  private func read(_ report: BenchReport) -> Reader {
    let reader = Reader()
    let parser = XMLParser(data: Data(report.plot.utf8))
    parser.delegate = reader
    #expect(parser.parse())
    return reader
  }

  @Test("the plot is well-formed XML with a line per model and thread count, axes with units, and a legend")
  func plot() {
    let picture = read(sweep)
    #expect(picture.counts["polyline"] == 4)
    #expect(picture.counts["circle"] == 4 * 4 + 4)
    #expect(picture.text.contains("latency, ms") && picture.text.contains("batch size, samples"))
    #expect(
      picture.text.contains("net8<&>.qmodel, 2 threads") && picture.text.contains("A <fast> & \"good\" CPU")
    )
    #expect(picture.numbers.allSatisfy { $0 >= 0 && $0 <= 920 })
  }

  @Test("a plot of one point, and of a time of 0, is a plot")
  func plotOfLittle() {
    let picture = read(BenchReport(results: [result("a.onnx", batch: 3, ms: 0)]))
    #expect(picture.counts["circle"] == 2 && picture.numbers.allSatisfy(\.isFinite))
    #expect(read(BenchReport(results: [])).counts["polyline"] == nil)
  }
}
