import BinaryIO
import Quantization
import Testing

@Suite("Observers")
struct ObserverTests {
  @Test("min-max covers every sample")
  func minMax() throws {
    var observer = MinMaxObserver()
    observer.observe([1, -2, 3].span)
    observer.observe([0, 0.5].span)
    #expect(try observer.range() == -2...3)
    #expect(observer.samples == 2)
  }

  @Test(
    "extremes of either sign are found",
    arguments: [[-0.0], [-5, -1], [1e-38, 3e38], [-3e38, -1e-38], [0]] as [[Float]]
  )
  func extremes(values: [Float]) throws {
    var observer = MinMaxObserver()
    observer.observe(values.span)
    let range = try observer.range()
    #expect(range.lowerBound == values.min())
    #expect(range.upperBound == values.max())
  }

  @Test("NaN and infinity are counted, and refused when the range is asked for")
  func nonFinite() throws {
    for kind in ObserverKind.allCases {
      var observer = kind.makeObserver()
      observer.observe([1, .nan, -1, .infinity, -.infinity].span)
      #expect(observer.nonFinite == 3)
      #expect(observer.bounds == -1...1)
      let refusal = #expect(throws: Refusal.self) { try observer.range() }
      #expect(refusal?.rule == "K7")
    }
  }

  @Test("no sample, no range")
  func nothing() {
    for kind in ObserverKind.allCases {
      var observer = kind.makeObserver()
      #expect(throws: Refusal.self) { try observer.range() }
      observer.observe([Float]().span)
      #expect(observer.bounds == nil)
    }
  }

  @Test("alpha weighs the new sample")
  func movingAverage() throws {
    var observer = MovingAverageObserver(alpha: 0.25)
    observer.observe([0, 4].span)
    observer.observe([-4, 8].span)
    #expect(try observer.range() == -1...5)
    observer.observe([0, 5].span)
    #expect(try observer.range() == -0.75...5)
  }

  @Test("with alpha 1 only the last sample counts")
  func alphaOne() throws {
    var observer = MovingAverageObserver(alpha: 1)
    observer.observe([-9, 9].span)
    observer.observe([-1, 2].span)
    #expect(try observer.range() == -1...2)
  }

  @Test("merging shards gives what one observer would have seen")
  func merge() throws {
    var random = SplitMix(state: 11)
    let samples = (0..<12).map { _ in (0..<5).map { _ in random.uniform() } }
    for cuts in [(4, 8), (0, 12), (1, 1), (3, 12)] {
      var whole = MovingAverageObserver(alpha: 0.1)
      var wholeMinMax = MinMaxObserver()
      var shards = [MovingAverageObserver](repeating: MovingAverageObserver(alpha: 0.1), count: 3)
      var shardsMinMax = [MinMaxObserver](repeating: MinMaxObserver(), count: 3)
      for (index, sample) in samples.enumerated() {
        whole.observe(sample.span)
        wholeMinMax.observe(sample.span)
        let shard = index < cuts.0 ? 0 : index < cuts.1 ? 1 : 2
        shards[shard].observe(sample.span)
        shardsMinMax[shard].observe(sample.span)
      }
      var left = shards[0]
      left.merge(shards[1])
      left.merge(shards[2])
      var right = shards[1]
      right.merge(shards[2])
      var outer = shards[0]
      outer.merge(right)
      for merged in [left, outer] {
        #expect(merged.samples == whole.samples)
        #expect(abs(try merged.range().lowerBound - whole.range().lowerBound) < 1e-6)
        #expect(abs(try merged.range().upperBound - whole.range().upperBound) < 1e-6)
      }
      shardsMinMax[0].merge(shardsMinMax[1])
      shardsMinMax[0].merge(shardsMinMax[2])
      #expect(try shardsMinMax[0].range() == wholeMinMax.range())
    }
  }
}
