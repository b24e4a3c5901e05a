import BinaryIO
import GraphIR
import Testing

@testable import Datasets

@Suite struct ArraySourceTests {
  private let inputs = [ModelInput(name: "x", type: TensorType(.float32, [.symbol("batch"), 2]))]

  private func source(
    _ arrays: [(name: String, tensor: Tensor)],
    _ inputs: [ModelInput]? = nil
  ) throws(Refusal) -> ArraySource {
    try ArraySource(file: "f", arrays: arrays, names: arrays.map(\.name), for: inputs ?? self.inputs)
  }

  @Test func samplesAreRowsWithLabels() throws {
    let scratch = Scratch()
    let path = scratch.path + "/a.npz"
    let values = try Tensor.make(.float64, [3, 2], [1.0, 2, 3, 4, 5, 6])
    let arrays = [("labels", try Tensor.int64s([7, 8, 9])), ("x", values), ("unused", values)]
    try NPZFile.write(arrays.map { (name: $0.0, tensor: $0.1) }, to: path)
    let data = try Dataset.open(path, for: inputs, preprocessing: nil)
    #expect(data.count == 3 && data.hasLabels)
    let sample = try data.sample(1)
    #expect(sample.label == 8 && sample.inputs["x"]?.type == TensorType(.float32, known: [1, 2]))
    #expect(sample.inputs["x"]?.elements(as: Float.self) == [3, 4])
    #expect(try data.digest() == data.digest())
  }

  @Test func aLoneUnnamedArrayFillsALoneInput() throws {
    let values = try Tensor.floats([1, 2], [1, 2])
    #expect(try source([("arr_0", values)]).count == 1)
    #expect(refusal { _ = try source([("y", values)]) }?.problem.contains("arrays: \"y\"") == true)
  }

  @Test func npyFilesFeedModelsWithOneInput() throws {
    let scratch = Scratch()
    let tensor = try Tensor.floats([1, 2, 3, 4], [2, 2])
    let bytes = tensor.bytes.withBytes { span in (0..<span.byteCount).compactMap { span.byte($0) } }
    let path = scratch.file("a.npy", try NPYFile.header(for: tensor) + bytes)
    let data = try Dataset.open(path, for: inputs, preprocessing: nil)
    #expect(data.count == 2 && !data.hasLabels)
    #expect(try data.batch(0..<2).inputs["x"]?.elements(as: Float.self) == [1, 2, 3, 4])
    let two = inputs + [ModelInput(name: "y", type: TensorType(.float32, [1]))]
    #expect(refusal { _ = try Dataset.open(path, for: two, preprocessing: nil) }?.rule == "D9")
  }

  @Test func arraysThatDoNotFitAreRefused() throws {
    let good = try Tensor.floats([1, 2], [1, 2])
    let cases: [[(name: String, tensor: Tensor)]] = [
      [("x", try Tensor.floats([1, 2, 3], [1, 3]))], [("x", try Tensor.floats([1, 2], [2]))],
      [("x", try Tensor.floats([], [0, 2]))], [("x", try Tensor.make(.uint8, [1, 2], [UInt8(1), 2]))],
      [("x", good), ("labels", try Tensor.floats([1]))],
      [("x", good), ("labels", try Tensor.int64s([1, 2]))],
      [("x", good), ("labels", try Tensor.int64s([-1]))], [],
    ]
    for arrays in cases { #expect(refusal { _ = try source(arrays) }?.rule == "D9") }
    let two = inputs + [ModelInput(name: "y", type: TensorType(.float32, [.symbol("batch"), 2]))]
    let longer = try Tensor.floats([1, 2, 3, 4], [2, 2])
    #expect(refusal { _ = try source([("x", good), ("y", longer)], two) }?.rule == "D9")
    #expect(refusal { _ = try source([], []) }?.rule == "D9")
  }

  @Test func integersMustFit() throws {
    let ids = [ModelInput(name: "x", type: TensorType(.int32, [1, 2]))]
    let small = try source([("x", try Tensor.int64s([1, -5], [1, 2]))], ids)
    #expect(try small.sample(0).inputs["x"]?.elements(as: Int32.self) == [1, -5])
    let large = try source([("x", try Tensor.int64s([1, 1 << 40], [1, 2]))], ids)
    #expect(refusal { _ = try large.sample(0) }?.problem.contains("does not fit i32") == true)
  }
}
