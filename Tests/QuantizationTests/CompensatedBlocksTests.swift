import BinaryIO
import GraphIR
import Quantization
import TestSupport
import Testing

@Suite("CompensatedBlocks")
struct CompensatedBlocksTests {
  /// Rows whose columns share a part, `[count, length]`.
  private func rows(_ count: Int, _ length: Int, seed: UInt64) -> [Float] {
    var random = SplitMix64(seed: seed)
    return (0..<count).flatMap { _ in
      let common = random.normal() + 1
      return (0..<length).map { _ in common + random.normal() * 0.4 }
    }
  }

  private func moments(_ rows: [Float], _ length: Int, chosen: [Int]) -> SecondMoments {
    var result = SecondMoments(length: length)
    unsafe rows.withUnsafeBufferPointer { unsafe result.add($0, rows: chosen) }
    return result
  }

  private func matrix(_ rows: Int, _ length: Int, seed: UInt64) throws -> Tensor {
    var random = SplitMix64(seed: seed)
    return try Tensor.floats((0..<rows * length).map { _ in random.normal() }, [rows, length])
  }

  /// `s·q` as the packed form says.
  private func widened(_ weight: BlockQuantizedWeight, _ bits: Int, _ block: Int, _ length: Int) -> [Float] {
    let bytes = weight.values.elements(as: UInt8.self)
    let scales = weight.scales.elements(as: Float16.self)
    let (count, width) = (weight.values.shape[0], weight.values.shape[1])
    let blocks = (length - 1) / block + 1
    return (0..<count).flatMap { row in
      (0..<length).map { column in
        let number = (0..<bits).reduce(0) { sum, bit in
          let place = column * bits + bit
          return sum | Int(bytes[row * width + place / 8] >> (place % 8) & 1) << bit
        }
        return Float(number - 1 << (bits - 1)) * Float(scales[row * blocks + column / block])
      }
    }
  }

  @Test("moments are what brute force sums over the chosen rows", arguments: [1, 5, 16, 37])
  func sums(length: Int) {
    let values = rows(150, length, seed: 3)
    let chosen = Array(stride(from: 0, to: 150, by: 2))
    let found = moments(values, length, chosen: chosen)
    let n = Double(chosen.count)
    #expect(found.count == chosen.count)
    let means = (0..<length).map { i in chosen.reduce(0) { $0 + Double(values[$1 * length + i]) } / n }
    let (raw, centred) = (found.covariance(isCentred: false), found.covariance(isCentred: true))
    for i in 0..<length {
      #expect(abs(found.mean[i] - means[i]) < 1e-6)
      for j in 0..<length {
        let product = chosen.reduce(0) { $0 + Double(values[$1 * length + i] * values[$1 * length + j]) } / n
        #expect(abs(raw[i * length + j] - product) < 1e-4)
        #expect(abs(centred[i * length + j] - (product - means[i] * means[j])) < 1e-4)
      }
    }
  }

  @Test(
    "errors cancel: what it counts is what brute force counts, below rounding to nearest, with ragged blocks",
    arguments: [(4, 32, 70), (3, 32, 37), (2, 64, 64), (8, 128, 130)]
  )
  func compensated(_ bits: Int, _ block: Int, _ length: Int) throws {
    let covariance = moments(rows(400, length, seed: 5), length, chosen: Array(0..<400))
      .covariance(isCentred: false)
    let quantizer = BlockQuantizer(bits: bits, block: block)
    let weight = try matrix(19, length, seed: 6)
    let rounding = CompensatedBlocks(covariance: covariance, length: length, quantizer)
    let result = try #require(try rounding.round(weight, isTransposed: false))
    let wanted = weight.elements(as: Float.self)
    let damping = 0.01 * (0..<length).reduce(0.0) { $0 + covariance[$1 * length + $1] } / Double(length)
    func error(_ found: [Float]) -> Double {
      (0..<19).reduce(0.0) { sum, row in
        let e = (0..<length).map { Double(wanted[row * length + $0]) - Double(found[row * length + $0]) }
        return (0..<length).reduce(sum) { sum, i in
          (0..<length).reduce(sum + damping * e[i] * e[i]) { $0 + covariance[i * length + $1] * e[i] * e[$1] }
        }
      }
    }
    let packed = widened(result.weight, bits, block, length)
    #expect(packed == result.values)
    #expect(abs(error(packed) / result.error - 1) < 1e-2)
    let nearest = try #require(try quantizer.quantize(weight, isTransposed: false))
    #expect(abs(error(widened(nearest, bits, block, length)) / result.nearestError - 1) < 1e-2)
    #expect(result.error < 0.6 * result.nearestError)
  }

  @Test("a transposed matrix gives the same integers and scales")
  func transposed() throws {
    let covariance = moments(rows(200, 40, seed: 5), 40, chosen: Array(0..<200)).covariance(isCentred: true)
    let weight = try matrix(18, 40, seed: 8)
    let values = weight.elements(as: Float.self)
    let turned = try Tensor.floats((0..<40).flatMap { k in (0..<18).map { values[$0 * 40 + k] } }, [40, 18])
    let rounding = CompensatedBlocks(covariance: covariance, length: 40, BlockQuantizer(bits: 4, block: 32))
    let plain = try #require(try rounding.round(weight, isTransposed: false))
    let other = try #require(try rounding.round(turned, isTransposed: true))
    #expect(plain.weight.values.elements(as: UInt8.self) == other.weight.values.elements(as: UInt8.self))
    #expect(plain.weight.scales.elements(as: Float16.self) == other.weight.scales.elements(as: Float16.self))
  }

  @Test("independent columns of the same moment are rounded to nearest")
  func independent() throws {
    var covariance = [Double](repeating: 0, count: 48 * 48)
    for index in 0..<48 { covariance[index * 48 + index] = 1 }
    let weight = try matrix(5, 48, seed: 9)
    let quantizer = BlockQuantizer(bits: 4, block: 32)
    let rounding = CompensatedBlocks(covariance: covariance, length: 48, quantizer, damping: 0)
    let found = try #require(try rounding.round(weight, isTransposed: false)).weight
    let nearest = try #require(try quantizer.quantize(weight, isTransposed: false))
    #expect(found.values.elements(as: UInt8.self) == nearest.values.elements(as: UInt8.self))
    #expect(found.scales.elements(as: Float16.self) == nearest.scales.elements(as: Float16.self))
  }

  @Test("what is not finite is refused, and what f16 cannot scale is not rounded")
  func refused() throws {
    let rounding = CompensatedBlocks(covariance: [1, 0, 0, 1], length: 2, BlockQuantizer(bits: 4, block: 32))
    expectRefusal(rule: "O36") {
      _ = try rounding.round(try Tensor.floats([1, 2, 3, .nan], [2, 2]), isTransposed: false)
    }
    #expect(try rounding.round(try Tensor.floats([1, 1e30], [1, 2]), isTransposed: false) == nil)
  }
}
