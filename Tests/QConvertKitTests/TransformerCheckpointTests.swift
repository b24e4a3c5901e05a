import BinaryIO
import GraphIR
import QConvertKit
import Runtime
import Safetensors
import TestSupport
import Testing

/// Checkpoints as transformers and timm save them, against what these libraries compute
/// (`tools/make-transformer-fixtures`).
@Suite struct TransformerCheckpointTests {
  private static let folder = "\(packageFolder())/Tests/QConvertKitTests/Fixtures/transformers"

  /// The largest difference of an output over the range of the expected one, where `counts` says that it counts.
  private func difference(_ got: Tensor?, _ expected: Tensor, counts: [Bool]? = nil) throws -> Float {
    let got = try #require(got)
    try #require(got.shape == expected.shape)
    let (a, b) = (got.elements(as: Float.self), expected.elements(as: Float.self))
    let rowSize = b.count / (counts?.count ?? 1)
    let kept = b.indices.filter { counts?[$0 / rowSize] ?? true }
    let span = try #require(kept.map { b[$0] }.max()) - (try #require(kept.map { b[$0] }.min()))
    return try #require(kept.map { abs(a[$0] - b[$0]) }.max()) / span
  }

  @Test(
    "images of the usual and of another size give the library's results",
    arguments: [
      ("vit", ["16x16", "24x12"]), ("deit", ["16x16", "24x12"]), ("dinov2", ["16x16", "24x12"]),
      ("dinov2_registers", ["16x16", "24x12", "8x8"]), ("timm", ["16x16", "8x12"]),
      ("dinov2_repository", ["16x16", "8x12"]),
    ]
  )
  func vision(name: String, sizes: [String]) throws {
    let folder = "\(Self.folder)/\(name)"
    for size in sizes {
      let asked = size == "16x16" ? nil : size
      let graph = try Loader.load("\(folder)/model.safetensors", inputSize: asked)
      #expect(graph.metadata[MetadataKey.architecture] == "vit")
      let arrays = try SafetensorsFile.open("\(folder)/\(size).case.safetensors").entries
      let table = Dictionary(uniqueKeysWithValues: arrays.map { ($0.name, $0.tensor) })
      for executor in [SessionOptions.ExecutorKind.reference, .plan] {
        let session = try Session(graph, options: SessionOptions(executor: executor))
        let outputs = try session.run(["input": try #require(table["input"])])
        let error = try difference(outputs["output"], try #require(table["output"]))
        #expect(error < 1e-4, "\(name) at \(size) on \(executor): \(error)")
      }
    }
  }

  @Test(
    "texts of any length give the library's results",
    arguments: [
      ("bert", ["last_hidden_state", "pooler_output", "logits"]),
      ("sentence", ["last_hidden_state", "sentence_embedding"]),
      ("roberta", ["last_hidden_state", "logits"]), ("roberta_bare", ["last_hidden_state", "pooler_output"]),
      ("distilbert", ["last_hidden_state", "logits"]),
    ]
  )
  func text(name: String, outputs: [String]) throws {
    let folder = "\(Self.folder)/\(name)"
    let graph = try Loader.load("\(folder)/model.safetensors")
    #expect(graph.metadata[MetadataKey.architecture] == "bert")
    let kinds = ["bert", "sentence"].contains(name) ? ["token_type_ids"] : []
    #expect(graph.inputs.map { graph[$0].name } == ["input_ids", "attention_mask"] + kinds)
    #expect(graph.outputs.map { graph[$0].name } == outputs)
    #expect(
      graph[graph.outputs[0]].type == TensorType(.float32, [.symbol("batch"), .symbol("length"), 32])
    )
    let arrays = try SafetensorsFile.open("\(folder)/case.case.safetensors").entries
    let table = Dictionary(uniqueKeysWithValues: arrays.map { ($0.name, $0.tensor) })
    let counts = try #require(table["attention_mask"]?.intValues()).map { $0 == 1 }
    for executor in [SessionOptions.ExecutorKind.reference, .plan] {
      let session = try Session(graph, options: SessionOptions(executor: executor))
      let results = try session.run(table.filter { !outputs.contains($0.key) })
      for output in outputs {
        let isToken = output == "last_hidden_state"
        let expected = try #require(table[output])
        let error = try difference(results[output], expected, counts: isToken ? counts : nil)
        #expect(error < 1e-4, "\(name) \(output) on \(executor): \(error)")
      }
    }
  }

  @Test("a text longer than the table of positions is refused")
  func tooLong() throws {
    let graph = try Loader.load("\(Self.folder)/sentence/model.safetensors")
    let ids = try Tensor.int64s([Int](repeating: 1, count: 13), [1, 13])
    let inputs = ["input_ids": ids, "attention_mask": ids, "token_type_ids": ids]
    let session = try Session(graph, options: SessionOptions())
    #expect(throws: Refusal.self) { try session.run(inputs) }
  }

  /// A copy of a fixture's folder with one file changed, or without it.
  private func load(_ name: String, changing file: String, to text: String?) throws -> Graph {
    try withTemporaryFolder { folder in
      for path in ["model.safetensors", "config.json", "modules.json", "1_Pooling/config.json"] {
        let source = "\(Self.folder)/\(name)/\(path)"
        guard let bytes = try? readFile(source), path != file || text != nil else { continue }
        if path.contains("/") { try makeFolder("\(folder)/1_Pooling") }
        try write(path == file ? Array((text ?? "").utf8) : bytes, to: "\(folder)/\(path)")
      }
      return try Loader.load("\(folder)/model.safetensors")
    }
  }

  @Test(
    "what the files beside a checkpoint leave open or ask in vain is refused",
    arguments: [
      ("sentence", "config.json", nil, "attention heads"),
      ("sentence", "config.json", #"{"num_attention_heads": 5}"#, "attention heads"),
      ("vit", "config.json", nil, "attention heads"),
      ("sentence", "config.json", #"{"num_attention_heads": 4, "hidden_act": "relu"}"#, "activation"),
      ("vit", "config.json", #"{"num_attention_heads": 2, "hidden_act": "quick_gelu"}"#, "activation"),
      (
        "bert", "config.json", #"{"num_attention_heads": 4, "position_embedding_type": "relative_key"}"#,
        "positions"
      ),
      ("sentence", "1_Pooling/config.json", #"{"pooling_mode_max_tokens": true}"#, "pooling is \"max\""),
      ("sentence", "1_Pooling/config.json", "{}", "pooling is \"none\""),
      (
        "sentence", "modules.json",
        #"[{"type": "x.Transformer"}, {"type": "x.Pooling", "path": "1_Pooling"}, {"type": "x.Dense"}]"#,
        "module \"Dense\""
      ),
      ("sentence", "config.json", "{", "ends too early"),
      ("sentence", "modules.json", "[1] 2", "text behind its value"),
    ] as [(String, String, String?, String)]
  )
  func refused(name: String, file: String, text: String?, problem: String) throws {
    let refusal = try #require(throws: Refusal.self) { try load(name, changing: file, to: text) }
    #expect(refusal.problem.contains(problem), "\(refusal)")
    #expect(!refusal.remedy.isEmpty)
  }

  @Test("a pooled encoder without modules gives the states of its tokens and the pooler's output")
  func withoutModules() throws {
    let graph = try load("sentence", changing: "modules.json", to: nil)
    #expect(graph.outputs.map { graph[$0].name } == ["last_hidden_state", "pooler_output"])
  }

  @Test(
    "an input size that does not fit is refused",
    arguments: [
      ("vit", "15", "no whole patches"), ("vit", "16x", "neither N nor HxW"),
      ("vit", "0", "neither N nor HxW"), ("vit", "60000", "65536 patches"),
    ]
  )
  func size(name: String, size: String, problem: String) throws {
    let path = "\(Self.folder)/\(name)/model.safetensors"
    let refusal = try #require(throws: Refusal.self) { try Loader.load(path, inputSize: size) }
    #expect(refusal.problem.contains(problem), "\(refusal)")
  }

  @Test("files beside a checkpoint that is no transformer's are not read")
  func unrelated() throws {
    try withTemporaryFolder { folder in
      let sample = "\(packageFolder())/samples/digits/digits.safetensors"
      try write(try readFile(sample), to: "\(folder)/model.safetensors")
      try write(Array("no JSON".utf8), to: "\(folder)/config.json")
      let graph = try Loader.load("\(folder)/model.safetensors")
      #expect(graph.metadata[MetadataKey.architecture] == "digits_net")
    }
  }

  @Test("networks with a graph and convolutional ones keep their size")
  func fixedSize() throws {
    let samples = "\(packageFolder())/samples/digits"
    for (file, problem) in [("digits.onnx", "a graph of its own"), ("digits.safetensors", "images of 32x32")]
    {
      let refusal = try #require(throws: Refusal.self) {
        try Loader.load("\(samples)/\(file)", inputSize: "64")
      }
      #expect(refusal.problem.contains(problem), "\(refusal)")
    }
  }

  @Test("preprocessing comes from the files beside the checkpoint")
  func preprocessing() throws {
    let processor = """
      {"size": {"height": 16, "width": 16}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.25],
       "rescale_factor": 0.00392156862745098, "do_center_crop": false}
      """
    try withTemporaryFolder { folder in
      for file in ["model.safetensors", "config.json"] {
        try write(try readFile("\(Self.folder)/vit/\(file)"), to: "\(folder)/\(file)")
      }
      try write(Array(processor.utf8), to: "\(folder)/preprocessor_config.json")
      let graph = try Loader.load("\(folder)/model.safetensors")
      #expect(
        graph.metadata[MetadataKey.preprocessing]
          == "resize=16x16 scale=255 mean=0.5,0.5,0.5 std=0.5,0.5,0.25 channels=rgb"
      )
    }
  }

  @Test("int8 encoders answer like float ones")
  func quantized() throws {
    try withTemporaryFolder { folder in
      var options = ConvertOptions()
      options.precision = .int8
      let source = "\(Self.folder)/sentence/model.safetensors"
      _ = try Converter.convert(source, to: "\(folder)/int8.qmodel", options: options)
      let table = try SafetensorsFile.open("\(Self.folder)/sentence/case.case.safetensors").entries
      let inputs = Dictionary(
        uniqueKeysWithValues: table.filter { $0.tensor.dtype == .int64 }.map { ($0.name, $0.tensor) }
      )
      let expected = try #require(table.first { $0.name == "sentence_embedding" }).tensor.elements(
        as: Float.self
      )
      let graph = try Loader.load("\(folder)/int8.qmodel")
      let outputs = try Session(graph, options: SessionOptions()).run(inputs)
      let got = try #require(outputs["sentence_embedding"]).elements(as: Float.self)
      for start in stride(from: 0, to: got.count, by: 32) {
        let cosine = (start..<start + 32).reduce(Float(0)) { $0 + got[$1] * expected[$1] }
        #expect(cosine > 0.999, "\(cosine)")
      }
    }
  }
}
