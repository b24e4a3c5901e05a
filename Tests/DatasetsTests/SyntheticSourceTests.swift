import BinaryIO
import GraphIR
import Testing

@testable import Datasets

@Suite struct SyntheticSourceTests {
  private let images = [ModelInput(name: "x", type: TensorType(.float32, [.symbol("batch"), 3, 32, 24]))]

  @Test func imagesAreSeededSmoothAndNormalised() throws {
    let steps = try Preprocessing.parse("resize=40 crop=32x24 scale=255 mean=0.5 std=0.25")
    let data = try Dataset.synthetic(for: images, preprocessing: steps, count: 3, seed: 9)
    let tensor = try #require(try data.sample(1).inputs["x"])
    let values = tensor.elements(as: Float.self)
    #expect(tensor.shape == [1, 3, 32, 24])
    #expect(values.allSatisfy { (-2...2).contains($0) })
    let steepest = zip(values, values.dropFirst()).map { abs($0 - $1) }.sorted()[values.count * 9 / 10]
    #expect(steepest < 0.5)
    #expect(try data.sample(1).inputs["x"]?.elements(as: Float.self) == values)
    #expect(try data.sample(2).inputs["x"]?.elements(as: Float.self) != values)
  }

  @Test func theSummarySaysThatNothingIsReal() throws {
    let data = try Dataset.synthetic(for: images, preprocessing: nil, count: 2, seed: 4)
    #expect(data.isSynthetic && !data.hasLabels)
    #expect(data.summary == "2 synthetic samples, seed 4: smooth random images, no real data")
    #expect(
      try data.digest() != Dataset.synthetic(for: images, preprocessing: nil, count: 2, seed: 5).digest()
    )
  }

  @Test func freeSizesFollowThePreprocessing() throws {
    let free = [ModelInput(name: "x", type: TensorType(.float32, [.symbol("b"), 1, .symbol("h"), .unknown]))]
    let steps = try Preprocessing.parse("resize=40 crop=20 scale=255")
    #expect(
      try Dataset.synthetic(for: free, preprocessing: steps).sample(0).inputs["x"]?.shape == [1, 1, 20, 20]
    )
    #expect(
      try Dataset.synthetic(for: free, preprocessing: nil).sample(0).inputs["x"]?.shape == [1, 1, 64, 64]
    )
  }

  @Test func otherInputsGetNoise() throws {
    let inputs = [
      ModelInput(name: "ids", type: TensorType(.int64, [.symbol("b"), .symbol("length")])),
      ModelInput(name: "x", type: TensorType(.float32, [.symbol("b"), 500])),
    ]
    let data = try Dataset.synthetic(for: inputs, preprocessing: nil)
    let sample = try data.sample(0)
    #expect(sample.inputs["ids"]?.shape == [1, 16])
    let noise = try #require(sample.inputs["x"]).elements(as: Float.self)
    #expect(abs(noise.reduce(0, +) / 500) < 0.2)
    let flags = [ModelInput(name: "f", type: TensorType(.bool, [1]))]
    #expect(refusal { _ = try Dataset.synthetic(for: flags, preprocessing: nil) }?.rule == "D10")
  }
}
