import GraphIR
import Safetensors
import Testing

@testable import Architectures

struct DigitsNetTests {
  @Test("the sample's weights become its network")
  func recognised() throws {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let file = try SafetensorsFile.open("/\(root)/samples/digits/digits.safetensors")
    let graph = try Architectures.build(Checkpoint(file.entries))
    #expect(graph.metadata[MetadataKey.architecture] == "digits_net")
    #expect(graph.metadata[MetadataKey.preprocessing] == "resize=32 scale=255 mean=0.3 std=0.35 channels=rgb")
    #expect(graph[graph.inputs[0]].type == TensorType(.float32, [.symbol("batch"), 3, 32, 32]))
    #expect(graph[graph.outputs[0]].type == TensorType(.float32, [.symbol("batch"), 10]))
    #expect(graph.order.count { graph[$0].op.name == "add" } == 3)
  }
}
