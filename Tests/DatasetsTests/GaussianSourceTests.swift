import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import Datasets

@Suite struct GaussianSourceTests {
  private let image = ModelInput(
    name: "x",
    type: TensorType(.float32, [.symbol("n"), .known(3), .known(32), .known(32)])
  )

  @Test("noise has the mean and deviation asked for, differs by sample, and is the same each time")
  func moments() throws {
    let data = try Dataset.noise(for: [image], mean: 3, deviation: 0.5, count: 2)
    let values = try #require(try data.sample(0).inputs["x"]).elements(as: Float.self)
    let mean = values.reduce(0) { $0 + Double($1) } / Double(values.count)
    let variance = values.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(values.count)
    #expect(abs(mean - 3) < 0.05 && abs(variance - 0.25) < 0.02)
    let again = try Dataset.noise(for: [image], mean: 3, deviation: 0.5, count: 2)
    #expect(try #require(try again.sample(0).inputs["x"]).elements(as: Float.self) == values)
    #expect(try #require(try data.sample(1).inputs["x"]).elements(as: Float.self) != values)
    #expect(try data.digest() == again.digest())
  }

  @Test("the summary says what it is")
  func summary() throws {
    let data = try Dataset.noise(for: [image], mean: 0.25, count: 7, seed: 5)
    #expect(data.isSynthetic && data.count == 7 && data.preprocessing == nil)
    #expect(data.summary == "7 samples of synthetic noise, seed 5, mean 0.25, deviation 1.0, no real data")
  }

  @Test("open extents are those of images asked for, pixels are clamped, integers small")
  func kinds() throws {
    let dims: [Dim] = [.symbol("n"), .symbol("h"), .symbol("w"), .known(3)]
    let inputs = [
      ModelInput(name: "pixels", type: TensorType(.uint8, dims)),
      ModelInput(name: "ids", type: TensorType(.int64, [.symbol("n"), .symbol("length")])),
    ]
    let data = try Dataset.noise(for: inputs, size: .init(height: 9, width: 11), mean: 200, deviation: 100)
    let sample = try data.sample(0).inputs
    #expect(sample["pixels"]?.shape == [1, 9, 11, 3])
    #expect(try #require(sample["pixels"]).elements(as: UInt8.self).contains(255))
    #expect(try #require(sample["ids"]).elements(as: Int64.self).allSatisfy { (0..<16).contains($0) })
  }

  @Test("inputs of truth values cannot be made up")
  func refused() {
    let flag = ModelInput(name: "flag", type: TensorType(.bool, [.known(1)]))
    expectRefusal(rule: "D10") { _ = try Dataset.noise(for: [flag]) }
  }
}
