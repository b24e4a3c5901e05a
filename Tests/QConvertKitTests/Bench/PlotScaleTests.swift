import Testing

@testable import QConvertKit

@Suite struct PlotScaleTests {
  @Test("a linear scale begins at 0 and has round ticks")
  func linear() {
    let scale = PlotScale(values: [3, 17], pixels: (100, 0))
    #expect(!scale.isLogarithmic && scale.ticks == [0, 5, 10, 15, 20])
    #expect(scale[0] == 100 && scale[20] == 0 && scale[5] == 75)
  }

  @Test("small times have small ticks")
  func small() {
    let scale = PlotScale(values: [0.004], pixels: (0, 1))
    #expect(scale.ticks.count == 5 && abs(scale.ticks[1] - 0.001) < 1e-12)
    #expect(abs((scale.ticks.last ?? 0) - 0.004) < 1e-12)
  }

  @Test("a wide range is logarithmic with ticks at 1, 2 and 5")
  func logarithmic() {
    let scale = PlotScale(values: [0.6, 45], pixels: (0, 200))
    #expect(scale.isLogarithmic && scale.ticks.count == 7)
    #expect(scale[0.5] == 0 && abs(scale[50] - 200) < 1e-9 && abs(scale[5] - 100) < 1e-9)
  }

  @Test("chosen values have a tick each; a single one is in the middle")
  func chosen() {
    let scale = PlotScale(chosen: [8, 1, 2], pixels: (10, 40))
    #expect(scale.ticks == [1, 2, 8])
    #expect(scale[1] == 10 && abs(scale[2] - 20) < 1e-9 && abs(scale[8] - 40) < 1e-9)
    #expect(abs(PlotScale(chosen: [4], pixels: (0, 10))[4] - 5) < 1e-9)
  }
}
