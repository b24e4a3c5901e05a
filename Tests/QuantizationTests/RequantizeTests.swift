import Quantization
import Testing

@Suite("Requantize")
struct RequantizeTests {
  @Test(
    "halves round to even and results saturate",
    arguments: [
      (1, 0.5, 0, 0), (3, 0.5, 0, 2), (5, 0.5, 0, 2), (-1, 0.5, 10, 10), (-3, 0.5, 10, 8), (1000, 1, 3, 255),
      (-1000, 1, 3, 0), (.max, 1e30, 0, 255), (.min, 1e38, 255, 0),
    ] as [(Int32, Float, UInt8, UInt8)]
  )
  func rounding(accumulator: Int32, multiplier: Float, zeroPoint: UInt8, expected: UInt8) {
    #expect(Requantize.uint8(accumulator, multiplier: multiplier, zeroPoint: zeroPoint) == expected)
  }

  @Test("the multiplier is rounded once, from double")
  func multiplier() {
    #expect(
      Requantize.multiplier(input: 0.1, weight: 0.3, output: 0.7)
        == Float(Double(Float(0.1)) * Double(Float(0.3)) / Double(Float(0.7)))
    )
  }

  @Test("the largest sum plus the largest bias fits int32 for every admissible number of terms")
  func limits() {
    for terms in [0, 1, 27, 4_608, 25_088, Requantize.maximumTerms] {
      let limit = Requantize.biasLimit(terms: terms)
      #expect(limit >= 1 << 20)
      #expect(terms * 127 * 255 + limit <= Int(Int32.max))
    }
  }
}
