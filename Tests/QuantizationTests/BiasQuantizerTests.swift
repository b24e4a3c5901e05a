import BinaryIO
import GraphIR
import Quantization
import Testing

@Suite("BiasQuantizer")
struct BiasQuantizerTests {
  @Test("a bias is counted in steps of input scale times weight scale")
  func plain() throws {
    let bias = try BiasQuantizer.quantize(
      [1, -0.5, 0],
      inputScale: 0.5,
      weightScales: [0.25, 0.5, 1],
      terms: 9
    )
    #expect(bias.dtype == .int32)
    #expect(bias.elements(as: Int32.self) == [8, -2, 0])
  }

  @Test("one weight scale serves all channels")
  func perTensor() throws {
    let bias = try BiasQuantizer.quantize([1, -0.5], inputScale: 0.5, weightScales: [0.5], terms: 9)
    #expect(bias.elements(as: Int32.self) == [4, -2])
  }

  @Test("a bias that does not fit is refused, with the floor it always fits")
  func guarded() throws {
    let values: [Float] = [1, -3, 1e-20, 0, 5e4]
    let refusal = #expect(throws: Refusal.self) {
      try BiasQuantizer.quantize(values, inputScale: 1e-3, weightScales: [1e-12], terms: 4_608)
    }
    #expect(refusal?.rule == "K4")
    for terms in [1, 4_608, AccumulatorBound.terms] {
      let floors = BiasQuantizer.weightScaleFloors(bias: values, channels: 5, inputScale: 1e-3, terms: terms)
      #expect(throws: Never.self) {
        try BiasQuantizer.quantize(values, inputScale: 1e-3, weightScales: floors, terms: terms)
      }
    }
  }

  @Test("the product of the scales stays normal")
  func normalProduct() {
    let floors = BiasQuantizer.weightScaleFloors(bias: nil, channels: 2, inputScale: 1e-6, terms: 1)
    for floor in floors { #expect(BiasQuantizer.scale(input: 1e-6, weight: floor).isNormal) }
  }

  @Test("a bias that is not finite is refused")
  func nonFinite() {
    let refusal = #expect(throws: Refusal.self) {
      try BiasQuantizer.quantize([.nan], inputScale: 1, weightScales: [1], terms: 1)
    }
    #expect(refusal?.rule == "K4")
  }
}
