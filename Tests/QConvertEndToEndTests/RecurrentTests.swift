import TestSupport
import Testing

/// `Fixtures/words.onnx`: an embedding, a bidirectional LSTM, a GRU and a linear layer over `ids: i64[batch, length]`.
@Suite struct RecurrentTests {
  private static let model = "\(packageFolder())/Tests/QConvertEndToEndTests/Fixtures/words.onnx"

  @Test(
    "converts, is inspected honestly, verified on made-up tokens and timed step by step",
    arguments: [("--int8", 22.0, 5), ("--fp16", 60.0, 0), ("--int4", 12.0, 0), ("--fp32", 100.0, 0)]
  )
  func schemes(flag: String, decibels: Double, integers: Int) throws {
    try withTemporaryFolder { folder in
      try Tool.succeed([Self.model, "a.qmodel", flag], in: folder)
      let report = try Tool.succeed(["inspect", "a.qmodel", "--json"], in: folder).object()
      #expect(report["quantized_ops"] as? Int == integers)
      // Embedding, LSTM (one of two equal biases per gate remains), GRU (with one more for its reset), linear layer.
      let lstm = 2 * 64 * (8 + 16 + 1)
      let gru = 48 * (32 + 16 + 1) + 16
      #expect(report["parameters"] as? Int == 1024 * 8 + lstm + gru + 170)
      let tensors = try #require(report["tensors"] as? [[String: Any]])
      let roles = Set(tensors.compactMap { $0["role"] as? String })
      #expect(roles.contains("weight") && roles.contains("bias"))
      let result = try Tool.succeed(["verify", Self.model, "a.qmodel", "--json"], in: folder).object()
      // Equal outputs have no ratio.
      if let sqnr = result["sqnr_db"] as? Double { #expect(sqnr > decibels, "\(flag)") }
      let timed = ["bench", "a.qmodel", "--dim", "length=5", "--runs", "3", "--profile"]
      let text = try Tool.succeed(timed, in: folder).output
      #expect(text.contains(integers > 0 ? "int8 dynamic lstm" : "f32 lstm"))
      #expect(text.contains(integers > 0 ? "int8 dynamic gru" : "f32 gru"))
    }
  }

  @Test("an operator that is kept stays float, its input product and its state")
  func kept() throws {
    try withTemporaryFolder { folder in
      try Tool.succeed([Self.model, "a.qmodel", "--int8", "--keep-float", "/lstm/LSTM"], in: folder)
      let report = try Tool.succeed(["inspect", "a.qmodel", "--json"], in: folder).object()
      #expect(report["quantized_ops"] as? Int == 3)
    }
  }
}
