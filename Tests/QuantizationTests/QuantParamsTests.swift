import BinaryIO
import GraphIR
import Quantization
import Testing

@Suite("QuantParams")
struct QuantParamsTests {
  @Test("a range is widened to contain 0, which is exact")
  func zeroIsExact() throws {
    for (low, high) in [(-1, 3), (2, 5), (-7, -3), (0, 6), (-6, 0), (0.1, 0.1)] as [(Float, Float)] {
      let params = try #require(QuantParams.uint8(low: low, high: high))
      #expect(params.dequantize(params.quantize(0)) == 0)
      #expect(params.range.lowerBound <= min(low, 0) + params.scale / 2)
      #expect(params.range.upperBound >= max(high, 0) - params.scale / 2)
    }
  }

  @Test("a positive range has zero point 0 and scale max/255")
  func positive() throws {
    let params = try #require(QuantParams.uint8(low: 0.5, high: 6))
    #expect(params.zeroPoint == 0)
    #expect(params.scale == 6 as Float / 255)
    #expect(params.quantize(6) == 255)
    #expect(params.quantize(7) == 255)
    #expect(params.quantize(-1) == 0)
  }

  @Test("the zero point rounds half to even")
  func roundsToEven() throws {
    // 255 steps of 1: -low is 0.5 and 1.5, both halfway.
    #expect(try #require(QuantParams.uint8(low: -0.5, high: 254.5)).zeroPoint == 0)
    #expect(try #require(QuantParams.uint8(low: -1.5, high: 253.5)).zeroPoint == 2)
  }

  @Test("an empty range, or one too narrow for a normal scale, gets scale 1")
  func degenerate() throws {
    let zero = try #require(QuantParams.uint8(low: 0, high: 0))
    #expect(zero.scale == 1)
    #expect(zero.zeroPoint == 0)
    let tiny = try #require(QuantParams.uint8(low: 0, high: .leastNonzeroMagnitude))
    #expect(tiny == zero)
  }

  @Test("ranges that are not finite, swapped or too wide have no parameters")
  func refused() {
    #expect(QuantParams.uint8(low: .nan, high: 1) == nil)
    #expect(QuantParams.uint8(low: 0, high: .infinity) == nil)
    #expect(QuantParams.uint8(low: 2, high: 1) == nil)
    #expect(QuantParams.uint8(low: -3e38, high: 3e38) == nil)
    let refusal = #expect(throws: Refusal.self) { try QuantParams.uint8(covering: -3e38...3e38) }
    #expect(refusal?.rule == "K7")
  }

  @Test("given parameters obey K1 and K2")
  func validated() throws {
    #expect(throws: Never.self) { try QuantParams(scale: 0.1, zeroPoint: -128, dtype: .int8) }
    for scale in [0, -1, .nan, .infinity, .leastNonzeroMagnitude, 0x1p65] as [Float] {
      let refusal = #expect(throws: Refusal.self) {
        try QuantParams(scale: scale, zeroPoint: 0, dtype: .uint8)
      }
      #expect(refusal?.rule == "K1")
    }
    for (zeroPoint, dtype) in [(256, .uint8), (-1, .uint8), (128, .int8), (0, .int32)] as [(Int, DType)] {
      let refusal = #expect(throws: Refusal.self) {
        try QuantParams(scale: 1, zeroPoint: zeroPoint, dtype: dtype)
      }
      #expect(refusal?.rule == "K2")
    }
  }

  @Test("any finite value quantizes without a trap, NaN to the zero point")
  func total() throws {
    let params = try QuantParams(scale: .leastNormalMagnitude, zeroPoint: 3, dtype: .uint8)
    #expect(params.quantize(.greatestFiniteMagnitude) == 255)
    #expect(params.quantize(-.infinity) == 0)
    #expect(params.quantize(.nan) == 3)
  }
}
