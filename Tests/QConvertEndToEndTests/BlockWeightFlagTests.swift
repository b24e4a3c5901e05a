import TestSupport
import Testing

/// `--int4`, `--bits` and `--block`.
@Suite struct BlockWeightFlagTests {
  private func report(_ path: String, in folder: String) throws -> [String: Any] {
    try Tool.succeed(["inspect", path, "--json"], in: folder).object()
  }

  private func sqnr(_ path: String, in folder: String) throws -> Double {
    let result = try Tool.succeed(
      ["verify", Tool.model, path, "--data", "\(Tool.digits)/test", "--max-drop", "1", "--json"],
      in: folder
    ).object()
    return try #require(result["sqnr_db"] as? Double)
  }

  @Test("--int4 is recorded, its bytes are counted exactly, and the network still works")
  func int4() throws {
    try withTemporaryFolder { folder in
      try Tool.succeed([Tool.model, "a.qmodel", "--int4"] + Tool.preprocessing, in: folder)
      let inspection = try report("a.qmodel", in: folder)
      #expect(inspection["scheme"] as? String == "int4 weight-only, blocks of 32")
      #expect((inspection["passes"] as? [String])?.contains("quantize-blocks") == true)
      let tensors = try #require(inspection["tensors"] as? [[String: Any]])
      let packed = try #require(tensors.first { $0["dtype"] as? String == "u8" })
      let shape = try #require(packed["shape"] as? [Int])
      let name = try #require(packed["name"] as? String)
      let scale = try #require(tensors.first { $0["name"] as? String == "\(name).scale" })
      #expect(packed["bytes"] as? Int == shape[0] * shape[1])
      #expect(scale["bytes"] as? Int == shape[0] * ((2 * shape[1] + 31) / 32) * 2)
      #expect(scale["role"] as? String == "weight scale")
      let notes = try #require(inspection["notes"] as? [String])
      #expect(notes.contains { $0.contains("take \(shape[0] * shape[1] * 2 * 4) bytes as f32") })
      try Tool.succeed([Tool.model, "b.qmodel", "--fp16"], in: folder)
      #expect(inspection["parameters"] as? Int == (try report("b.qmodel", in: folder)["parameters"] as? Int))
      #expect(try sqnr("a.qmodel", in: folder) > 20)
    }
  }

  @Test("more bits err less; the file is the same through safetensors")
  func bits() throws {
    try withTemporaryFolder { folder in
      var last = -100.0
      for bits in [2, 3, 4, 5, 6, 7, 8] {
        let flags = ["--bits", "\(bits)", "--block", "64"]
        try Tool.succeed([Tool.model, "a.qmodel"] + flags + Tool.preprocessing, in: folder)
        #expect(
          try report("a.qmodel", in: folder)["scheme"] as? String == "int\(bits) weight-only, blocks of 64"
        )
        let own = try sqnr("a.qmodel", in: folder)
        #expect(own > last, "\(bits) bits")
        last = own
      }
      try Tool.succeed(["a.qmodel", "a.safetensors"], in: folder)
      try Tool.succeed(["a.safetensors", "b.qmodel"], in: folder)
      #expect(try sqnr("b.qmodel", in: folder) == last)
      let again = try Tool.run(["a.qmodel", "c.qmodel", "--int4"], in: folder)
      #expect(again.status == 1)
      #expect(again.errors.contains("quantized already"))
    }
  }

  @Test("--int4 is --bits 4 --block 32")
  func standard() throws {
    try withTemporaryFolder { folder in
      try Tool.succeed([Tool.model, "a.qmodel", "--int4"] + Tool.preprocessing, in: folder)
      try Tool.succeed(
        [Tool.model, "b.qmodel", "--bits", "4", "--block", "32"] + Tool.preprocessing,
        in: folder
      )
      #expect(try readFile("\(folder)/a.qmodel") == readFile("\(folder)/b.qmodel"))
    }
  }
}
