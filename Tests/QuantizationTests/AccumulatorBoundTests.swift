import Quantization
import Testing

@Suite("AccumulatorBound")
struct AccumulatorBoundTests {
  @Test(
    "the largest sum plus the largest bias fits int32 for every admissible number of terms",
    arguments: [0, 1, 27, 4_608, 25_088, AccumulatorBound.terms]
  )
  func limits(terms: Int) {
    let bias = AccumulatorBound.bias(besideTerms: terms)
    #expect(bias >= 1 << 20)
    #expect(bias <= 1 << 30)
    #expect(terms * 127 * 255 + bias <= Int(Int32.max))
  }
}
