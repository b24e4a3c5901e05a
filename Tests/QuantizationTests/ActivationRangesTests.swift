import BinaryIO
import Quantization
import Testing

@Suite("ActivationRanges")
struct ActivationRangesTests {
  @Test("entries are sorted by name, and the last one set counts")
  func sorted() throws {
    var ranges = ActivationRanges()
    try ranges.set(.init(name: "b", low: 0, high: 1, samples: 2))
    try ranges.set(.init(name: "a", low: -1, high: 1, samples: 2))
    try ranges.set(.init(name: "b", low: 0, high: 3, samples: 4))
    #expect(ranges.entries.map(\.name) == ["a", "b"])
    #expect(ranges["b"]?.range == 0...3)
    #expect(ranges["c"] == nil)
  }

  @Test("a range that is not finite or is swapped is refused")
  func refused() {
    var ranges = ActivationRanges()
    for (low, high) in [(.nan, 1), (0, .infinity), (1, 0)] as [(Float, Float)] {
      let refusal = #expect(throws: Refusal.self) {
        try ranges.set(.init(name: "x", low: low, high: high, samples: 1))
      }
      #expect(refusal?.rule == "K7")
    }
  }

  @Test("an observer without a range is refused by the value's name")
  func fromObserver() throws {
    var ranges = ActivationRanges()
    var statistics = ValueStatistics()
    let refusal = #expect(throws: Refusal.self) {
      try ranges.set("conv1", of: statistics, by: MinMaxObserver())
    }
    #expect(refusal?.description.contains("conv1") == true)
    statistics.observe([-1, 2].span)
    try ranges.set("conv1", of: statistics, by: MinMaxObserver())
    #expect(ranges["conv1"] == .init(name: "conv1", low: -1, high: 2, samples: 1))
  }
}
