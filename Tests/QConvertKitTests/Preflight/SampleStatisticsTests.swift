import GraphIR
import TestSupport
import Testing

@testable import QConvertKit

@Suite struct SampleStatisticsTests {
  private let type = TensorType(.float32, [.symbol("n"), .known(3), .known(8), .known(8)])

  /// A ramp in every channel.
  private var ramp: [Float] { (0..<192).map { index -> Float in Float(index % 64) / 8 } }

  @Test("channels have their mean, deviation and extremes")
  func moments() {
    var statistics = SampleStatistics(type)
    let values = (0..<192).map { index -> Float in Float(index / 64 + index % 2 * 2) }
    _ = statistics.add(values, shape: [1, 3, 8, 8])
    _ = statistics.add([Float](repeating: 1, count: 192), shape: [1, 3, 8, 8])
    #expect(statistics.channels.map(\.mean) == [1, 1.5, 2])
    #expect(
      statistics.channels.map(\.minimum) == [0, 1, 1] && statistics.channels.map(\.maximum) == [2, 3, 4]
    )
    #expect(abs(statistics.channels[0].deviation - 0.5.squareRoot()) < 1e-12)
    #expect(statistics.areWhole && statistics.constantSamples == 1 && statistics.samples == 2)
  }

  @Test("channels last are told by their place")
  func channelsLast() {
    var statistics = SampleStatistics(TensorType(.float32, [.known(1), .known(8), .known(8), .known(3)]))
    let sample = statistics.add((0..<192).map { Float($0 % 3) }, shape: [1, 8, 8, 3])
    #expect(statistics.layout == .channelsLast && statistics.channels.map(\.mean) == [0, 1, 2])
    #expect(sample.isConstant && sample.values[64] == 1)
  }

  @Test("noise has unrelated neighbours, pictures have not")
  func noise() {
    var random = TestSupport.SplitMix64(seed: 11)
    let large = TensorType(.float32, [.known(1), .known(1), .known(32), .known(32)])
    var noise = SampleStatistics(large)
    for _ in 0..<20 { _ = noise.add((0..<1024).map { _ in random.normal() }, shape: [1, 1, 32, 32]) }
    #expect(noise.noiseSamples >= 19 && noise.measuredSamples == 20)
    var picture = SampleStatistics(type)
    _ = picture.add(ramp, shape: [1, 3, 8, 8])
    #expect(picture.noiseSamples == 0 && picture.measuredSamples == 1)
    var stripes = SampleStatistics(type)
    _ = stripes.add((0..<192).map { Float($0 % 2) }, shape: [1, 3, 8, 8])
    #expect(stripes.noiseSamples == 0)
  }

  @Test("NaN and infinity are counted by sample and left out of the moments")
  func nonFinite() {
    var statistics = SampleStatistics(type)
    var values = ramp
    values[5] = .nan
    values[100] = .infinity
    let sample = statistics.add(values, shape: [1, 3, 8, 8])
    #expect(!sample.isFinite && statistics.nonFiniteSamples == 1 && statistics.maximum == 7.875)
    #expect(!statistics.areWhole)
  }

  @Test("inputs that are no images have one channel of values")
  func features() {
    var statistics = SampleStatistics(TensorType(.float32, [.symbol("n"), .known(4)]))
    _ = statistics.add([1, 2, 3, 4], shape: [1, 4])
    #expect(
      !statistics.isImage && statistics.channels.map(\.mean) == [2.5] && statistics.constantSamples == 0
    )
  }
}
