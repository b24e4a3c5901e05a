import Testing

@testable import QConvertKit

@Suite struct SaturationReportTests {
  @Test("values beyond half a step outside of the range count as clipped")
  func clipped() throws {
    var count = try ClippedCount(0...255)
    let values: [Float] = [-3, -0.25, 0, 100, 255, 255.25, 256, 1000]
    count.add(values.span)
    #expect(count.share == 3 / 8.0)
    #expect(try ClippedCount(0...1).share == 0)
  }

  @Test("the line for people names the worst layers")
  func text() {
    let layers = [("a", 0.0), ("b", 0.02), ("c", 0.001), ("d", 0.03), ("e", 0.0005)]
    let report = SaturationReport(
      samples: 16,
      mean: 0.0103,
      layers: layers.map { .init(name: $0, share: $1) }
    )
    #expect(
      report.text == "1.0300 % of the values of 16 held-out samples; most in d 3.000 %, b 2.000 %, c 0.100 %"
    )
  }
}
