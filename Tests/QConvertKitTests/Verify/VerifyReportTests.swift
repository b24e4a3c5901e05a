import Testing

@testable import QConvertKit

@Suite struct VerifyReportTests {
  @Test(
    "decimals are rounded and padded",
    arguments: [
      (1.005, 1, "1.0"), (-0.04, 1, "0.0"), (-0.06, 1, "-0.1"), (12.5, 0, "13"), (0.1234, 3, "0.123"),
      (99.999, 2, "100.00"),
    ]
  )
  func rounding(_ value: Double, _ places: Int, _ text: String) { #expect(decimals(value, places) == text) }
}
