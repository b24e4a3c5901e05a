import BinaryIO
import Glibc
import GraphIR
import ONNXReader
import TestSupport
import Testing

/// Files that exporters wrote; each test says so and passes where they are absent.
struct RealModelsTests {
  @Test(
    "Models of the shared folder are read",
    arguments: [
      ("cifar10_resnet20", ["f32[batch, 10]"], "conv"), ("efficientnet_lite0", ["f32[batch, 1000]"], "clip"),
    ]
  )
  func sharedModels(name: String, outputs: [String], operatorName: String) throws {
    guard let shared = sharedFolder() else {
      print("skipped: there is no folder of shared data")
      return
    }
    let graph = try ONNXReader.read("\(shared)/data/models/\(name).onnx")
    #expect(graph.outputs.map { graph[$0].type.description } == outputs)
    #expect(graph.order.contains { graph[$0].op.name == operatorName })
    #expect(graph.metadata[MetadataKey.source] == "onnx opset 17")
  }

  @Test(
    "Seed models of both exporters are read",
    arguments: [
      "mobilenet_v2", "mobilenet_v3_small", "resnet18", "resnet50", "squeezenet1_1", "vgg16_bn",
    ]
  )
  func seedModels(name: String) throws {
    guard let folder = unsafe getenv("QCONVERT_SEEDS").map({ unsafe String(cString: $0) }) else {
      print("skipped: QCONVERT_SEEDS names no folder of exported models")
      return
    }
    let legacy = try ONNXReader.read("\(folder)/\(name).onnx")
    #expect(legacy.outputs.map { legacy[$0].type.description } == ["f32[batch, 1000]"])
    let current = try ONNXReader.read("\(folder)/\(name).opset18.onnx")
    #expect(current.outputs.map { current[$0].type.description } == ["f32[2, 1000]"])
  }
}
