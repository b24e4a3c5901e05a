import GraphIR
import Quantization
import Testing

@Suite("ChannelSums")
struct ChannelSumsTests {
  private func tensor(_ shape: [Int], seed: UInt64) throws -> Tensor {
    var random = SplitMix(state: seed)
    return try Tensor.floats((0..<shape.reduce(1, *)).map { _ in random.uniform() + 2 }, shape)
  }

  @Test("means are those of the channels along either axis", arguments: [[2, 3, 5, 7], [3, 4], [1, 2, 3]])
  func means(shape: [Int]) throws {
    let tensor = try tensor(shape, seed: 1)
    let values = tensor.elements(as: Float.self)
    for isLast in [false, true] {
      let axis = isLast ? shape.count - 1 : 1
      let inner = shape[(axis + 1)...].reduce(1, *)
      var expected = [Double](repeating: 0, count: shape[axis])
      for (index, value) in values.enumerated() { expected[index / inner % shape[axis]] += Double(value) }
      expected = expected.map { $0 * Double(shape[axis]) / Double(values.count) }
      let found = ChannelSums.means(of: tensor, isLast: isLast)
      #expect(found.count == shape[axis])
      for (a, b) in zip(found, expected) { #expect(abs(a - b) < 1e-5) }
      let bytes = try Tensor.make(.uint8, shape, values.map { UInt8($0 * 20) })
      let sums = ChannelSums.means(of: bytes, isLast: isLast)
      for (a, b) in zip(sums, expected) { #expect(abs(a - b * 20) < 1) }
    }
  }

  @Test("sums do not depend on the order of samples, nor on how parts are merged")
  func order() throws {
    let samples = try (0..<9).map { try tensor([1, 4, 3, 3], seed: UInt64($0)) }
    var whole = ChannelSums()
    for sample in samples { whole.observe(sample, isLast: false) }
    var (odd, even) = (ChannelSums(), ChannelSums())
    for index in [7, 1, 5, 3] { odd.observe(samples[index], isLast: false) }
    for index in [8, 0, 4, 2, 6] { even.observe(samples[index], isLast: false) }
    odd.merge(even)
    #expect(odd == whole)
    #expect(whole.samples == 9 && whole.count == 4)
    var empty = ChannelSums()
    empty.merge(whole)
    #expect(empty == whole)
  }

  @Test("numbers beyond bounds are cut, and what is not finite counts as 0")
  func extremes() throws {
    var sums = ChannelSums()
    sums.observe(try Tensor.floats([1e30, -1e30, .nan, 0.5], [1, 4]), isLast: true)
    #expect(sums.means == [0x1p20, -0x1p20, 0, 0.5])
    sums.observe(try Tensor.floats([1, 2], [1, 2]), isLast: true)
    #expect(sums.samples == 2 && sums.count == 4)
  }
}
