import BinaryIO
import Quantization
import Testing

/// The statistics of these samples.
private func statistics(_ samples: [[Float]]) -> ValueStatistics {
  var result = ValueStatistics()
  for sample in samples { result.observe(sample.span) }
  return result
}

/// Bell-shaped values with a few outliers.
private func bell(_ count: Int, seed: UInt64, offset: Float = 0) -> [Float] {
  var random = SplitMix(state: seed)
  return (0..<count).map { index in
    let sum = (0..<6).reduce(Float(0)) { total, _ in total + random.uniform() }
    return (index % 997 == 5 ? 8 * sum : sum) + offset
  }
}

/// The mean squared error of u8 quantization, value by value.
private func squaredError(_ values: [Float], _ range: ClosedRange<Float>) throws -> Double {
  let params = try QuantParams.uint8(covering: range)
  return values.reduce(0) { total, x in
    let error = Double(x - params.dequantize(params.quantize(x)))
    return total + error * error
  } / Double(values.count)
}

@Suite("Observers")
struct ObserverTests {
  @Test("min-max covers every sample")
  func minMax() throws {
    let seen = statistics([[1, -2, 3], [0, 0.5]])
    #expect(try MinMaxObserver().range(of: seen) == -2...3)
    #expect(seen.samples == 2)
  }

  @Test("every range includes 0")
  func zero() throws {
    for kind in ObserverKind.allCases {
      let observer = kind.makeObserver()
      #expect(try observer.range(of: statistics([[2, 3, 4]])).lowerBound == 0)
      #expect(try observer.range(of: statistics([[-2, -3]])).upperBound == 0)
      #expect(try observer.range(of: statistics([[0, -0.0]])) == 0...0)
    }
  }

  @Test(
    "extremes of either sign are found",
    arguments: [[-0.0], [-5, -1], [1e-38, 3e38], [-3e38, -1e-38], [0]] as [[Float]]
  )
  func extremes(values: [Float]) throws {
    let bounds = try #require(statistics([values]).bounds)
    #expect(bounds.lowerBound == values.min())
    #expect(bounds.upperBound == values.max())
  }

  @Test("NaN and infinity are counted, and refused when the range is asked for")
  func nonFinite() throws {
    let seen = statistics([[1, .nan, -1, .infinity, -.infinity]])
    #expect(seen.nonFinite == 3)
    #expect(seen.bounds == -1...1)
    #expect(seen.histogram.count == 2)
    for kind in ObserverKind.allCases {
      let refusal = #expect(throws: Refusal.self) { try kind.makeObserver().range(of: seen) }
      #expect(refusal?.rule == "K7")
    }
  }

  @Test("no value, no range")
  func nothing() {
    for kind in ObserverKind.allCases {
      #expect(throws: Refusal.self) { try kind.makeObserver().range(of: statistics([])) }
      #expect(kind.makeObserver().bounds(of: statistics([[]])) == nil)
    }
  }

  @Test("alpha weighs the new sample")
  func movingAverage() throws {
    let observer = MovingAverageObserver(alpha: 0.25)
    #expect(try observer.range(of: statistics([[0, 4], [-4, 8]])) == -1...5)
    #expect(try observer.range(of: statistics([[0, 4], [-4, 8], [0, 5]])) == -0.75...5)
    #expect(try MovingAverageObserver(alpha: 1).range(of: statistics([[-9, 9], [-1, 2]])) == -1...2)
  }

  @Test(
    "percentile cuts half of the share at each end, to a bin",
    arguments: [90, 99, 99.9, 100] as [Double]
  )
  func percentile(share: Double) throws {
    let values = bell(20_000, seed: 3)
    let sorted = values.sorted()
    let cut = Int((Double(values.count) * (1 - share / 100) / 2).rounded(.down))
    let seen = statistics([values])
    let range = try PercentileObserver(percentile: share).range(of: seen)
    let bin = Float(seen.histogram.width)
    #expect(abs(range.lowerBound - sorted[cut]) <= bin)
    #expect(abs(range.upperBound - sorted[sorted.count - 1 - cut]) <= bin)
    #expect(share < 100 || range == seen.bounds)
  }

  @Test("histogram-mse is as good as the best of all ranges tried by brute force", arguments: [0, 2, -5, 40])
  func meanSquaredError(offset: Float) throws {
    let values = bell(4000, seed: 7, offset: offset)
    let range = try HistogramMSEObserver().range(of: statistics([values]))
    let (low, high) = (min(0, values.min() ?? 0), max(0, values.max() ?? 0))
    var best = Double.infinity
    for i in 1...32 {
      for j in 1...32 {
        let candidate = (low * Float(i) / 32)...(high * Float(j) / 32)
        best = min(best, try squaredError(values, candidate))
      }
    }
    #expect(try squaredError(values, range) <= best * 1.03)
  }

  @Test("histogram-mse keeps the full range where nothing is gained")
  func uniform() throws {
    let values = (0...255).map { Float($0) / 255 }
    #expect(try HistogramMSEObserver().range(of: statistics([values])) == 0...1)
  }

  @Test("entropy never chooses a range with a larger squared error than the full one")
  func entropy() throws {
    for seed in 1...3 as ClosedRange<UInt64> {
      let values = bell(1000, seed: seed, offset: Float(seed % 3))
      let seen = statistics([values])
      let range = try EntropyObserver().range(of: seen)
      let full = try MinMaxObserver().range(of: seen)
      #expect(range.lowerBound >= full.lowerBound && range.upperBound <= full.upperBound)
      #expect(try squaredError(values, range) <= squaredError(values, full) * 1.02)
    }
  }

  @Test("entropy cuts a lonely outlier off")
  func outlier() throws {
    let values = (0..<20_000).map { Float($0 % 1000) / 1000 }
    let range = try EntropyObserver().range(of: statistics(Array(repeating: values, count: 60) + [[60]]))
    #expect(range.upperBound < 60)
  }
}

@Suite("ValueStatistics")
struct ValueStatisticsTests {
  @Test("shards in any order merge into what one pass over all samples gives")
  func merge() {
    var random = SplitMix(state: 11)
    let samples = (0..<24).map { index in
      (0..<50).map { _ in random.uniform() * Float(1 << (index % 9)) * (index == 3 ? 0 : 1) }
    }
    var whole = ValueStatistics()
    for (number, sample) in samples.enumerated() { whole.observe(sample.span, sample: number) }
    for count in 1...5 {
      let shards = (0..<count).map { shard in
        var statistics = ValueStatistics()
        for number in stride(from: shard, to: samples.count, by: count) {
          let sample = samples[number]
          statistics.observe(sample.span, sample: number)
        }
        return statistics
      }
      for order in [Array(shards.indices), shards.indices.reversed()] {
        var merged = ValueStatistics()
        for index in order { merged.merge(shards[index]) }
        #expect(merged == whole)
        for kind in ObserverKind.allCases {
          let observer = kind.makeObserver(alpha: 0.3)
          #expect(observer.bounds(of: merged) == observer.bounds(of: whole))
        }
      }
    }
  }

  @Test("bins hold what brute force counts, whatever the order of the samples")
  func bins() {
    var random = SplitMix(state: 5)
    let scales: [Float] = [1e-30, 3, 0.001, 700, 0]
    let samples = scales.map { scale in (0..<200).map { _ in random.uniform() * scale } }
    let forward = statistics(samples).histogram
    #expect(forward == statistics(samples.reversed()).histogram)
    let width = forward.width
    var counts: [Double: Int] = [:]
    for value in samples.joined() where value != 0 {
      let middle = ((Double(abs(value)) / width).rounded(.down) + 0.5) * width
      counts[value < 0 ? -middle : middle, default: 0] += 1
    }
    #expect(forward.points.count == counts.count)
    for point in forward.points { #expect(counts[point.value] == point.count) }
    #expect(forward.zeros == samples.joined().count { $0 == 0 })
    #expect(forward.count == 1000)
    #expect(700 < width * Double(Histogram.binCount) && width * Double(Histogram.binCount) <= 1024)
  }

  @Test("the largest and the smallest floats have bins")
  func ends() {
    let values: [Float] = [.greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude]
    #expect(statistics([values]).histogram.count == 3)
    #expect(statistics([[.leastNonzeroMagnitude]]).histogram.points.count == 1)
  }
}
