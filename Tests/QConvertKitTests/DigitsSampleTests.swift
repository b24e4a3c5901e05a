import Architectures
import BinaryIO
import Datasets
import GraphIR
import Runtime
import Safetensors
import TestSupport
import Testing

@Suite struct DigitsSampleTests {
  private let folder = "\(packageFolder())/samples/digits"

  /// The predictions of `expected.csv` by file.
  private func expected() throws -> [String: Int] {
    let text = String(decoding: try readFile(folder + "/expected.csv"), as: UTF8.self)
    let rows = text.split(separator: "\n").dropFirst().map { $0.split(separator: ",") }
    return Dictionary(rows.map { (String($0[0]), Int($0[2]) ?? -1) }) { first, _ in first }
  }

  @Test("images, preprocessing, weights and runtime give ONNX Runtime's predictions")
  func predictions() throws {
    let file = try SafetensorsFile.open(folder + "/digits.safetensors")
    let graph = try Architectures.build(Checkpoint(file.entries))
    let steps = try Preprocessing.parse(graph.metadata[MetadataKey.preprocessing] ?? "")
    let data = try Dataset.open(folder + "/test", for: ModelInput.inputs(of: graph), preprocessing: steps)
    #expect(data.summary == "400 images of 10 classes")
    let session = try Session(graph, options: SessionOptions(executor: .reference))
    let expected = try expected()
    let part = data.spread(6)
    for index in 0..<part.count {
      let outputs = try session.run(part.sample(index).inputs)
      let scores = try #require(outputs["output"]).elements(as: Float.self)
      let best = scores.indices.max { scores[$0] < scores[$1] }
      #expect(best == expected["test/" + part.name(index)], "\(part.name(index))")
    }
  }

  @Test("calibration and test images are disjoint, ten and forty of each digit")
  func splits() throws {
    let inputs = [ModelInput(name: "x", type: TensorType(.float32, [.symbol("b"), 1, 8, 8]))]
    func names(_ split: String, count: Int) throws -> Set<String> {
      let data = try Dataset.open("\(folder)/\(split)", for: inputs, preprocessing: Preprocessing())
      let labels = try (0..<data.count).compactMap { try data.sample($0).label }
      for digit in 0..<10 { #expect(labels.count { $0 == digit } == count) }
      return Set((0..<data.count).map(data.name))
    }
    let (calibration, test) = (try names("calibration", count: 10), try names("test", count: 40))
    #expect(calibration.isDisjoint(with: test))
  }
}
