import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import Datasets
@testable import QConvertKit

/// A network and the data it was trained for.
private struct Pair {
  let name: String
  /// Of the shared folder, or of the package.
  let model: String
  let data: String
  /// Size of the images, as flags of preprocessing.
  let size: String
  /// What the network was trained with.
  let normalization: String
  /// Where tensors fit several.
  var architecture: String?
  var isShared = true
  /// Whether the images have colours.
  var isColoured = true

  static let all = [
    Pair(
      name: "EfficientNet-Lite0 .onnx",
      model: "data/models/efficientnet_lite0.onnx",
      data: "data/imagenet500",
      size: "resize=256 crop=224",
      normalization: "mean=127 std=128"
    ),
    Pair(
      name: "EfficientNet-Lite0 .safetensors",
      model: "data/models/efficientnet_lite0.safetensors",
      data: "data/imagenet500",
      size: "resize=256 crop=224",
      normalization: "mean=127 std=128",
      architecture: "tf_efficientnet_lite0"
    ),
    Pair(
      name: "CIFAR ResNet-20 .onnx",
      model: "data/models/cifar10_resnet20.onnx",
      data: "data/cifar10",
      size: "resize=32",
      normalization: "scale=255 mean=0.485,0.456,0.406 std=0.229,0.224,0.225"
    ),
    Pair(
      name: "CIFAR ResNet-20 .safetensors",
      model: "data/models/cifar10_resnet20.safetensors",
      data: "data/cifar10",
      size: "resize=32",
      normalization: "scale=255 mean=0.485,0.456,0.406 std=0.229,0.224,0.225"
    ),
    Pair(
      name: "digits .onnx",
      model: "samples/digits/digits.onnx",
      data: "samples/digits/calibration",
      size: "resize=32",
      normalization: "scale=255 mean=0.3 std=0.35",
      isShared: false,
      isColoured: false
    ),
    Pair(
      name: "digits .safetensors",
      model: "samples/digits/digits.safetensors",
      data: "samples/digits/calibration",
      size: "resize=32",
      normalization: "scale=255 mean=0.3 std=0.35",
      isShared: false,
      isColoured: false
    ),
  ]

  /// Nil where the shared folder is absent.
  var folder: String? { isShared ? sharedFolder() : packageFolder() }

  func graph(in folder: String) throws -> Graph {
    try Loader.load("\(folder)/\(model)", architecture: architecture)
  }

  func images(_ normalization: String, for graph: Graph, in folder: String) throws -> Dataset {
    try Dataset.open(
      "\(folder)/\(data)",
      for: ModelInput.inputs(of: graph),
      preprocessing: Preprocessing.parse("\(size) \(normalization)")
    )
  }
}

/// Samples held in memory, as those of arrays.
private struct HeldSource: SampleSource {
  let tensors: [Tensor]
  let input: String
  var count: Int { tensors.count }
  var hasLabels: Bool { false }
  var summary: String { "\(count) held samples" }

  func name(_ index: Int) -> String { "held \(index)" }
  func sample(_ index: Int) throws(Refusal) -> Sample { Sample(inputs: [input: tensors[index]], label: nil) }
  func fingerprint(_ index: Int, into hash: inout Fingerprint) throws(Refusal) { hash.add(index) }
}

@Suite(.serialized) struct PreflightPairsTests {
  private typealias Cause = PreflightReport.Cause

  /// What is expected of a case.
  private enum Verdict {
    /// No finding at all.
    case accepted
    /// A certain finding, first of this cause.
    case refused(Cause)
    /// A finding of this cause.
    case warned(Cause)
  }

  /// How many cases of a kind went as expected.
  private struct Count {
    var passed = 0
    var of = 0
  }

  private func check(
    _ graph: Graph,
    _ data: Dataset,
    _ verdict: Verdict,
    _ label: String,
    _ count: inout Count
  ) throws {
    let declared = graph.metadata[MetadataKey.preprocessing]
    let report = try Preflight(graph, declared: declared, isCalibration: true).report(on: data)
    let found = try #require(report)
    let refusal = found.refusal(of: "calibration data")
    let told = found.findings.map { "\($0.certainty.rawValue) \($0.cause.rawValue)" }.joined(separator: ", ")
    let isExpected =
      switch verdict {
      case .accepted: refusal == nil && found.findings.isEmpty
      case .refused(let cause): refusal != nil && found.findings.first?.cause == cause
      case .warned(let cause): refusal == nil && found.findings.contains { $0.cause == cause }
      }
    count.of += 1
    count.passed += isExpected ? 1 : 0
    #expect(isExpected, "\(label): found [\(told)] at distance \(found.distance ?? -1), \(found.warnings)")
  }

  /// The same tensors, every element changed.
  private func changed(_ data: Dataset, _ graph: Graph, _ change: (Float, Int) -> Float) throws -> Dataset {
    let input = graph[try #require(graph.inputs.first)].name
    let tensors = try (0..<data.count).map { index in
      let tensor = try #require(try data.sample(index).inputs[input])
      let values = tensor.elements(as: Float.self).enumerated().map { change($1, $0) }
      return try Tensor.floats(values, tensor.shape)
    }
    return Dataset(HeldSource(tensors: tensors, input: input))
  }

  /// The network with the normalisation of pixels in front of it.
  private func normalizing(_ graph: Graph, _ normalization: String) throws -> Graph {
    var copy = graph
    let steps = InputTransform(try Preprocessing.parse(normalization), channels: 3)
    let input = try #require(copy.inputs.first)
    let type = copy[input].type
    let users = copy.users(of: input)
    let scale = copy.addConstant("pixel.scale", try Tensor.floats(steps.scale.map { Float($0) }, [3, 1, 1]))
    let shift = copy.addConstant("pixel.shift", try Tensor.floats(steps.shift.map { Float($0) }, [3, 1, 1]))
    let product = copy.addNode(
      .binary(Binary(.mul)),
      inputs: [input, scale],
      outputNames: ["pixel.scaled"],
      outputTypes: [type]
    )
    let sum = copy.addNode(
      .binary(Binary(.add)),
      inputs: [copy[product].outputs[0], shift],
      outputNames: ["pixel.normalized"],
      outputTypes: [type]
    )
    for user in users {
      copy.setInputs(copy[user].inputs.map { $0 == input ? copy[sum].outputs[0] : $0 }, of: user)
    }
    copy.metadata[MetadataKey.preprocessing] = nil
    try copy.sortTopologically()
    return copy
  }

  @Test("right data are never refused, wrong data always and for the right cause, on every pair")
  func counts() throws {
    var counts: [String: Count] = [:]
    var pairs = 0
    for pair in Pair.all {
      guard let folder = pair.folder else {
        print("skipped \(pair.name): there is no folder of shared data")
        continue
      }
      pairs += 1
      try run(pair, in: folder, &counts)
      try runBroken(pair, in: folder, &counts)
    }
    print("pre-flight on \(pairs) pairs of model and data:")
    for (kind, count) in counts.sorted(by: { $0.key < $1.key }) {
      print("  \(kind): \(count.passed) of \(count.of) as expected")
      #expect(count.passed == count.of, "\(kind)")
    }
    #expect(pairs >= 2)
  }

  private func run(_ pair: Pair, in folder: String, _ counts: inout [String: Count]) throws {
    let graph = try pair.graph(in: folder)
    let raw = try normalizing(graph, pair.normalization)
    let right = try pair.images(pair.normalization, for: graph, in: folder)
    let pixels = try pair.images("scale=1", for: graph, in: folder)
    let swapped = try pair.images("\(pair.normalization) channels=bgr", for: graph, in: folder)
    let few = right.spread(32)
    func expect(_ kind: String, _ graph: Graph, _ data: Dataset, _ verdict: Verdict) throws {
      try check(graph, data, verdict, "\(pair.name), \(kind)", &counts[kind, default: Count()])
    }
    try expect("right images", graph, right, .accepted)
    try expect(
      "right arrays",
      graph,
      changed(few, graph) { value, _ in value },
      .accepted
    )
    try expect("pixels into a network of pixels", raw, pixels, .accepted)
    try expect("images of 0-255 into a normalised network", graph, pixels, .refused(.tooLarge))
    try expect(
      "arrays of 0-255 into a normalised network",
      graph,
      changed(pixels.spread(32), graph) { value, _ in value },
      .refused(.tooLarge)
    )
    try expect("normalised images into a network of pixels", raw, right, .refused(.tooSmall))
    try expect(
      "normalised arrays into a network of pixels",
      raw,
      changed(few, graph) { value, _ in value },
      .refused(.tooSmall)
    )
    try expect(
      "images without mean and std",
      graph,
      pair.images("scale=255", for: graph, in: folder),
      .refused(.normalization)
    )
    try expect(
      "arrays without mean and std",
      graph,
      changed(pixels.spread(48), graph) { value, _ in value / 255 },
      .refused(.normalization)
    )
    if pair.isColoured {
      try expect("swapped channels", graph, swapped, .warned(.channelOrder))
    } else {
      try expect("swapped channels of grey images", graph, swapped, .accepted)
    }
  }

  /// Samples that suit no network.
  private func runBroken(_ pair: Pair, in folder: String, _ counts: inout [String: Count]) throws {
    let graph = try pair.graph(in: folder)
    let few = try pair.images(pair.normalization, for: graph, in: folder).spread(32)
    func expect(_ kind: String, _ graph: Graph, _ data: Dataset, _ verdict: Verdict) throws {
      try check(graph, data, verdict, "\(pair.name), \(kind)", &counts[kind, default: Count()])
    }
    try expect("Gaussian noise", graph, noise(graph, few) { _, unit in unit }, .refused(.noise))
    try expect(
      "noise of 0-255",
      graph,
      noise(graph, few) { uniform, _ in Float(uniform) },
      .refused(.noise)
    )
    try expect("constants", graph, changed(few, graph) { _, _ in 0.5 }, .refused(.constant))
    try expect("NaN", graph, changed(few, graph) { $1 == 77 ? .nan : $0 }, .refused(.nonFinite))
    try expect("infinity", graph, changed(few, graph) { $1 == 77 ? .infinity : $0 }, .refused(.nonFinite))
  }

  /// Arrays of seeded noise in the shape of the samples.
  private func noise(_ graph: Graph, _ data: Dataset, _ make: (UInt8, Float) -> Float) throws -> Dataset {
    var random = TestSupport.SplitMix64(seed: 7)
    return try changed(data, graph) { _, _ in
      let bits = random.next()
      let unit = (0..<4).reduce(Float(-2)) { sum, part in sum + Float((bits >> (16 * part)) & 0xFFFF) / 65_536
      }
      return make(UInt8(truncatingIfNeeded: bits), unit * 1.732)
    }
  }

  @Test("without BatchNorm, pixels 0-255 are suspected and right data are not, on every pair")
  func folded() throws {
    for pair in Pair.all where pair.name.hasSuffix(".onnx") {
      guard let folder = pair.folder else {
        print("skipped \(pair.name): there is no folder of shared data")
        continue
      }
      try withTemporaryFolder { temporary in
        let path = "\(temporary)/folded.qmodel"
        _ = try Converter.convert("\(folder)/\(pair.model)", to: path)
        let graph = try Loader.load(path)
        #expect(FirstLayer(Preflight.prepared(graph))?.training == nil)
        var count = Count()
        let right = try pair.images(pair.normalization, for: graph, in: folder)
        let pixels = try pair.images("scale=1", for: graph, in: folder)
        try check(graph, right, .accepted, "\(pair.name), right images", &count)
        try check(graph, pixels, .warned(.tooLarge), "\(pair.name), pixels", &count)
      }
    }
  }
}
