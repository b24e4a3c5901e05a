import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import Architectures

@Suite("VisionTransformer")
struct VisionTransformerTests {
  /// A small network in timm's layout.
  private func tensors(
    registers: Int,
    side: Int,
    coversPrefix: Bool,
    prefix: String = "",
    head: (String, Int)?
  ) throws -> [(name: String, tensor: Tensor)] {
    var shapes: [(String, [Int])] = [
      ("cls_token", [1, 1, 128]),
      ("pos_embed", [1, side * side + (coversPrefix ? 1 + registers : 0), 128]),
      ("patch_embed.proj.weight", [128, 3, 14, 14]), ("patch_embed.proj.bias", [128]),
      ("norm.weight", [128]), ("norm.bias", [128]),
    ]
    if registers > 0 { shapes.append(("reg_token", [1, registers, 128])) }
    for block in 0..<2 {
      for (name, outputs, inputs) in [
        ("attn.qkv", 384, 128), ("attn.proj", 128, 128), ("mlp.fc1", 512, 128), ("mlp.fc2", 128, 512),
      ] {
        shapes.append(("blocks.\(block).\(name).weight", [outputs, inputs]))
        shapes.append(("blocks.\(block).\(name).bias", [outputs]))
      }
      for name in ["norm1", "norm2"] {
        shapes.append(("blocks.\(block).\(name).weight", [128]))
        shapes.append(("blocks.\(block).\(name).bias", [128]))
      }
      if registers > 0 {
        for name in ["ls1", "ls2"] { shapes.append(("blocks.\(block).\(name).gamma", [128])) }
      }
    }
    var result = try shapes.map { (prefix + $0.0, try zeros(.float32, $0.1)) }
    if let (name, inputs) = head {
      result.append(("\(name).weight", try zeros(.float32, [10, inputs])))
      result.append(("\(name).bias", try zeros(.float32, [10])))
    }
    return result
  }

  private func type(_ tensors: [(name: String, tensor: Tensor)]) throws -> (TensorType, TensorType) {
    let graph = try Architectures.build(Checkpoint(tensors))
    #expect(graph.metadata[MetadataKey.architecture] == "vit")
    return (graph[graph.inputs[0]].type, graph[graph.outputs[0]].type)
  }

  @Test("DINOv2 with registers and the linear head of class token and patches")
  func registers() throws {
    let (input, output) = try type(
      tensors(registers: 4, side: 5, coversPrefix: false, prefix: "backbone.", head: ("linear_head", 256))
    )
    #expect(input == TensorType(.float32, [.symbol("batch"), 3, 70, 70]))
    #expect(output == TensorType(.float32, [.symbol("batch"), 10]))
  }

  @Test("ViT with positions for the class token and timm's head")
  func plain() throws {
    let (input, output) = try type(tensors(registers: 0, side: 3, coversPrefix: true, head: ("head", 128)))
    #expect(input == TensorType(.float32, [.symbol("batch"), 3, 42, 42]))
    #expect(output == TensorType(.float32, [.symbol("batch"), 10]))
  }

  @Test("without a head the result is the class token")
  func features() throws {
    let (_, output) = try type(tensors(registers: 0, side: 3, coversPrefix: true, head: nil))
    #expect(output == TensorType(.float32, [.symbol("batch"), 128]))
  }

  @Test("a missing tensor is named")
  func missing() throws {
    let tensors = try tensors(registers: 4, side: 3, coversPrefix: false, head: nil)
      .filter { $0.name != "blocks.1.ls2.gamma" && $0.name != "blocks.1.attn.qkv.bias" }
    let refusal = try #require(throws: Refusal.self) { try Architectures.build(Checkpoint(tensors)) }
    #expect(refusal.problem.contains("the nearest is vit"))
    #expect(refusal.problem.contains("\"blocks.1.attn.qkv.bias\""))
  }
}
