import BinaryIO
import GraphIR
import Testing

@testable import Quantization

/// The integers of a packed row, read bit by bit.
func unpacked(_ bytes: [UInt8], bits: Int, depth: Int) -> [Int] {
  (0..<depth).map { k in
    var number = 0
    for bit in 0..<bits {
      let place = k * bits + bit
      number |= (Int(bytes[place / 8]) >> (place % 8) & 1) << bit
    }
    return number - (1 << (bits - 1))
  }
}

@Suite("BlockQuantizer")
struct BlockQuantizerTests {
  @Test("in 4 bits the low nibble comes first, and what is behind the last number is 0")
  func nibbles() throws {
    let weight = try Tensor.floats([-8, -7, 0, 1, 7], [1, 5])
    let result = try #require(try BlockQuantizer(bits: 4, block: 16).quantize(weight, isTransposed: false))
    #expect(result.scales.type == TensorType(.float16, known: [1, 1]))
    #expect(result.scales.floatValues() == [1])
    #expect(result.values.type == TensorType(.uint8, known: [1, 3]))
    #expect(result.values.elements(as: UInt8.self) == [0x10, 0x98, 0x0F])
  }

  @Test("numbers of 3 bits cross bytes")
  func crossing() throws {
    let weight = try Tensor.floats([-4, -3, -2, 3], [1, 4])
    let result = try #require(try BlockQuantizer(bits: 3, block: 16).quantize(weight, isTransposed: false))
    #expect(result.values.elements(as: UInt8.self) == [0b10_001_000, 0b0000_1110])
  }

  @Test("all bits and blocks, ragged: each number is the nearest to its block's scale", arguments: 2...8)
  func nearest(bits: Int) throws {
    for (block, depth) in [(32, 70), (64, 64), (128, 5), (16, 33)] {
      var random = SplitMix(state: UInt64(bits * 1000 + depth))
      let values = (0..<(3 * depth)).map { _ in random.uniform() - 0.25 }
      let quantizer = BlockQuantizer(bits: bits, block: block)
      let result = try #require(
        try quantizer.quantize(try Tensor.floats(values, [3, depth]), isTransposed: false)
      )
      let blocks = (depth + block - 1) / block
      let rowBytes = (depth * bits + 7) / 8
      #expect(result.values.shape == [3, rowBytes])
      #expect(result.scales.shape == [3, blocks])
      let bytes = result.values.elements(as: UInt8.self)
      let scales = result.scales.elements(as: Float16.self).map(Float.init)
      for row in 0..<3 {
        let own = Array(bytes[(row * rowBytes)..<((row + 1) * rowBytes)])
        for (k, q) in unpacked(own, bits: bits, depth: depth).enumerated() {
          let scale = scales[row * blocks + k / block]
          let value = values[row * depth + k]
          func error(_ integer: Int) -> Float { abs(value - Float(integer) * scale) }
          let half = 1 << (bits - 1)
          var least = error(q)
          if q > -half { least = min(least, error(q - 1)) }
          if q + 1 < half { least = min(least, error(q + 1)) }
          #expect(error(q) <= least + 1e-6, "bits \(bits), block \(block), row \(row), column \(k)")
        }
      }
    }
  }

  @Test("the searched scale is never worse than absmax", arguments: 2...8)
  func search(bits: Int) throws {
    var random = SplitMix(state: UInt64(bits))
    let quantizer = BlockQuantizer(bits: bits, block: 32)
    for _ in 0..<50 {
      let values = (0..<32).map { _ in random.uniform() * random.uniform() }
      let peak = values.map(abs).max() ?? 0
      func error(_ scale: Float) -> Float {
        var sum: Float = 0
        for value in values {
          let difference = value - quantizer.nearest(value, scale) * scale
          sum += difference * difference
        }
        return sum
      }
      let scale = try #require(quantizer.scale(of: values[...]))
      #expect(error(Float(scale)) <= error(Float(Float16(peak / quantizer.limits.upperBound))))
    }
  }

  @Test("columns quantize like the rows of the transposed matrix")
  func transposed() throws {
    var random = SplitMix(state: 11)
    let values = (0..<(40 * 3)).map { _ in random.uniform() }
    let turned = (0..<120).map { values[$0 % 40 * 3 + $0 / 40] }
    let quantizer = BlockQuantizer(bits: 5, block: 32)
    let columns = try #require(
      try quantizer.quantize(try Tensor.floats(values, [40, 3]), isTransposed: true)
    )
    let rows = try #require(try quantizer.quantize(try Tensor.floats(turned, [3, 40]), isTransposed: false))
    #expect(columns.values.elements(as: UInt8.self) == rows.values.elements(as: UInt8.self))
    #expect(columns.scales.elements(as: UInt16.self) == rows.scales.elements(as: UInt16.self))
  }

  @Test("zeros take scale 1, the tiniest numbers the least f16, numbers beyond f16 have no scale")
  func extremes() throws {
    let quantizer = BlockQuantizer(bits: 4, block: 32)
    #expect(quantizer.scale(of: [0, 0]) == 1)
    #expect(quantizer.scale(of: [1e-30, 0]) == Float16.leastNonzeroMagnitude)
    #expect(quantizer.scale(of: [1e30, 0]) == nil)
    let weight = try Tensor.floats([1e30, 1], [1, 2])
    #expect(try quantizer.quantize(weight, isTransposed: false) == nil)
  }

  @Test("NaN and infinity are refused", arguments: [Float.nan, .infinity, -.infinity])
  func nonFinite(value: Float) throws {
    let weight = try Tensor.floats([1, value], [2, 1])
    #expect {
      _ = try BlockQuantizer(bits: 4, block: 32).quantize(weight, isTransposed: false)
    } throws: { ($0 as? Refusal)?.rule == "O36" }
  }
}
