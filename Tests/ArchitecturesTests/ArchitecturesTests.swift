import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import Architectures

struct ArchitecturesTests {
  @Test("the fixture lists every architecture but the sample's")
  func listing() {
    let listed = Set(TensorListing.all.map(\.architecture))
    let others: Set = ["tf_efficientnet_lite0", "digits_net", "vit", "bert"]
    #expect(Set(Architectures.allNames).subtracting(listed) == others)
  }

  @Test("a checkpoint in PyTorch's layout is recognised and built", arguments: TensorListing.all)
  func recognised(_ listing: TensorListing) throws {
    let isAmbiguous = listing.variant == "ambiguous"
    let graph = try Architectures.build(
      listing.checkpoint(),
      named: isAmbiguous ? listing.architecture : nil
    )
    #expect(graph.metadata[MetadataKey.architecture] == listing.architecture)
    let isCIFAR = listing.architecture.hasPrefix("cifar")
    let extent = isCIFAR ? 32 : 224
    #expect(graph.inputs.map { graph[$0].name } == ["input"])
    #expect(
      graph[graph.inputs[0]].type
        == TensorType(.float32, [.symbol("batch"), 3, .known(extent), .known(extent)])
    )
    #expect(graph.outputs.map { graph[$0].name } == ["output"])
    #expect(
      graph[graph.outputs[0]].type == TensorType(.float32, [.symbol("batch"), .known(listing.classes)])
    )
    let constants = Set(graph.valueIDs.filter { graph[$0].isConstant }.map { graph[$0].name })
    #expect(
      constants == Set(listing.tensors.map(\.name).filter { !$0.hasSuffix(".num_batches_tracked") })
    )
    #expect(graph.valueIDs.allSatisfy { graph[$0].type.dims.dropFirst().allSatisfy { $0.value != nil } })
  }

  @Test("without preprocessing of its own, a network has none in the metadata")
  func preprocessing() throws {
    func preprocessing(_ architecture: String, _ variant: String = "-") throws -> String? {
      let listing = try #require(
        TensorListing.all.first { $0.architecture == architecture && $0.variant == variant }
      )
      return try Architectures.build(listing.checkpoint()).metadata[MetadataKey.preprocessing]
    }
    #expect(
      try preprocessing("resnet18")
        == "resize=256 crop=224 scale=255 mean=0.485,0.456,0.406 std=0.229,0.224,0.225 channels=rgb"
    )
    #expect(
      try preprocessing("cifar_resnet20")
        == "scale=1 mean=123.675,116.28,103.53 std=58.395,57.12,57.375 channels=rgb"
    )
    #expect(try preprocessing("cifar_resnet20", "downsample") == nil)
  }

  @Test("prefixes of training wrappers are dropped", arguments: ["module.", "model.", "module.model."])
  func wrapped(_ prefix: String) throws {
    let plain = try #require(TensorListing.all.first)
    let tensors = try plain.checkpoint().entries.map { (prefix + $0.name, $0.tensor) }
    let graph = try Architectures.build(Checkpoint(tensors))
    #expect(graph.metadata[MetadataKey.architecture] == "resnet18")
    #expect(graph.value(named: "conv1.weight") != nil)
  }

  @Test("half precision weights are cast in the graph")
  func halfPrecision() throws {
    let listing = try #require(TensorListing.all.first { $0.architecture == "cifar_resnet20" })
    let tensors = try listing.tensors.map {
      ($0.name, try zeros($0.dtype == .float32 ? .float16 : $0.dtype, $0.shape))
    }
    let graph = try Architectures.build(Checkpoint(tensors))
    let cast = try #require(graph.value(named: "conv1.weight.f32"))
    #expect(graph[cast].type == TensorType(.float32, known: [16, 3, 3, 3]))
    #expect(graph.order.count { graph[$0].op.name == "cast" } == 97)
  }

  @Test("two architectures with the same tensors have to be told apart by the user")
  func ambiguous() throws {
    let listing = try #require(TensorListing.all.first { $0.variant == "ambiguous" })
    let checkpoint = try listing.checkpoint()
    let refusal = try #require(throws: Refusal.self) { try Architectures.build(checkpoint) }
    #expect(refusal.kind == .usage)
    #expect(refusal.remedy == "choose with --arch efficientnet_lite0 or --arch tf_efficientnet_lite0")
    let graph = try Architectures.build(checkpoint, named: "tf_efficientnet_lite0")
    guard case .conv(let stem) = graph[graph.order[0]].op else {
      Issue.record("the first node is no convolution")
      return
    }
    #expect(stem.pads == [0, 0, 1, 1])
  }

  @Test("missing, misshapen and extra tensors are listed for the nearest architecture")
  func mismatch() throws {
    let listing = try #require(TensorListing.all.first { $0.architecture == "resnet50" })
    var tensors = try listing.checkpoint().entries
    tensors.removeAll { $0.name.hasPrefix("layer1.0.bn1") }
    tensors.append(("surprise", try zeros(.float32, [2])))
    let index = try #require(tensors.firstIndex { $0.name == "conv1.weight" })
    tensors[index].tensor = try zeros(.float32, [64, 1, 7, 7])
    let refusal = try #require(throws: Refusal.self) { try Architectures.build(Checkpoint(tensors)) }
    #expect(
      refusal.description == """
        checkpoint: matches no architecture; the nearest is resnet50, where tensors are \
        4 missing: "layer1.0.bn1.weight", "layer1.0.bn1.bias", "layer1.0.bn1.running_mean", \
        "layer1.0.bn1.running_var"; 1 misshapen: "conv1.weight" is [64, 1, 7, 7], not [64, 3, 7, 7]; \
        1 extra: "surprise" [S17]; save the checkpoint of the unchanged network, or export the model to ONNX
        """
    )
  }

  @Test("of many missing tensors eight are named and the rest are counted")
  func manyMissing() throws {
    let listing = try #require(TensorListing.all.first { $0.architecture == "resnet18" })
    let tensors = try listing.checkpoint().entries.filter { !$0.name.contains("weight") }
    let refusal = try #require(throws: Refusal.self) {
      try Architectures.build(Checkpoint(tensors), named: "resnet18")
    }
    #expect(refusal.problem.hasPrefix("does not match resnet18, where tensors are 41 missing: "))
    #expect(refusal.problem.hasSuffix(" and 33 more"))
  }

  @Test("an integer tensor is no weight")
  func integerWeight() throws {
    let listing = try #require(TensorListing.all.first { $0.architecture == "resnet18" })
    var tensors = try listing.checkpoint().entries
    tensors[0].tensor = try zeros(.int8, tensors[0].tensor.shape)
    let refusal = try #require(throws: Refusal.self) { try Architectures.build(Checkpoint(tensors)) }
    #expect(refusal.problem.contains("\"conv1.weight\" is i8, not floating-point"))
  }

  @Test("a checkpoint that resembles nothing is refused with the list of what is known")
  func foreign() throws {
    let tensors = [("encoder.query", try zeros(.float32, [8, 8]))]
    let refusal = try #require(throws: Refusal.self) { try Architectures.build(Checkpoint(tensors)) }
    #expect(refusal.kind == .unsupported)
    #expect(refusal.remedy.contains("resnet18, resnet34"))
    let empty = try #require(throws: Refusal.self) { try Architectures.build(Checkpoint([])) }
    #expect(empty.kind == .unsupported)
  }

  @Test("an unknown name is refused")
  func unknownName() throws {
    let refusal = try #require(throws: Refusal.self) {
      try Architectures.build(Checkpoint([]), named: "resnet19")
    }
    #expect(refusal.kind == .usage)
    #expect(refusal.place == "architecture \"resnet19\"")
  }

  @Test(
    "hostile shapes are refused, not computed with",
    arguments: [[0], [], [0, Int.max], [1, 1, 1, 1, 1]]
  )
  func hostileShapes(_ shape: [Int]) throws {
    for name in ["resnet18", "mobilenet_v2", "vgg11", "cifar_resnet20"] {
      let listing = try #require(TensorListing.all.first { $0.architecture == name })
      let tensors = try listing.tensors.map { ($0.name, try hollow(shape)) }
      #expect(throws: Refusal.self) { try Architectures.build(Checkpoint(tensors)) }
    }
  }

  private func hollow(_ shape: [Int]) throws(Refusal) -> Tensor {
    guard shape.contains(0), let tensor = Tensor(.float32, shape, bytes: ByteSlice(try .heap(count: 0)))
    else { return try zeros(.float32, shape) }
    return tensor
  }

  @Test("a name given twice is refused")
  func duplicate() throws {
    let tensor = try zeros(.float32, [1])
    #expect(throws: Refusal.self) { try Checkpoint([("a", tensor), ("a", tensor)]) }
  }
}
