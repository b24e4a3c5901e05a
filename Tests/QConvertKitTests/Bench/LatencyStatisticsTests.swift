import Testing

@testable import QConvertKit

@Suite struct LatencyStatisticsTests {
  @Test("mean, deviation, median, minimum and 95th percentile are those computed by hand")
  func values() {
    // Deviations from 5 are -3 -1 -1 -1 0 0 2 4; their squares add up to 32.
    let some = LatencyStatistics([9, 4, 2, 5, 4, 7, 5, 4])
    #expect(some.mean == 5 && some.median == 4.5 && some.minimum == 2)
    #expect(abs(some.deviation - (32.0 / 7).squareRoot()) < 1e-12)
    // Rank 0.95 * 7 = 6.65: between 7 and 9.
    #expect(abs(some.p95 - 8.3) < 1e-12)
  }

  @Test("an odd count has its middle as the median")
  func odd() {
    let some = LatencyStatistics([3, 1, 2])
    #expect(some.median == 2 && some.deviation == 1 && abs(some.p95 - 2.9) < 1e-12)
  }

  @Test("one sample is its own summary")
  func single() {
    let one = LatencyStatistics([2.5])
    #expect(
      one.mean == 2.5 && one.deviation == 0 && one.median == 2.5 && one.minimum == 2.5 && one.p95 == 2.5
    )
  }

  @Test("quantiles at the ends are the ends")
  func ends() {
    #expect(LatencyStatistics.quantile(0, of: [1, 2, 4]) == 1)
    #expect(LatencyStatistics.quantile(1, of: [1, 2, 4]) == 4)
    #expect(LatencyStatistics.quantile(0.75, of: [1, 2, 4]) == 3)
  }
}
