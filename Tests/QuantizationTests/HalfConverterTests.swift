import GraphIR
import Quantization
import Testing

@Suite("HalfConverter")
struct HalfConverterTests {
  @Test("values round to the nearest f16 and lost precision is counted")
  func converts() throws {
    let weight = try Tensor.floats([1, -0.1, 65_504, 65_519, 1e-6, 1e-10, 0, -0.0], [2, 4])
    let result = try #require(try HalfConverter.convert(weight))
    #expect(result.values.shape == [2, 4])
    #expect(result.values.elements(as: Float16.self) == [1, -0.1, 65_504, 65_504, 1e-6, 0, 0, -0.0])
    #expect(result.subnormal == 2)
  }

  @Test(
    "a value that would become infinite, or is not finite, is not converted",
    arguments: [65_520, -1e5, .infinity, .nan] as [Float]
  )
  func overflow(value: Float) throws {
    #expect(try HalfConverter.convert(try Tensor.floats([1, value])) == nil)
  }
}
