import Testing

struct MistakenFileTests {
  @Test(
    "Files of other kinds are named",
    arguments: [
      ([0x50, 0x4B, 0x03, 0x04, 0, 0], "zip archive"), ([0x80, 0x02, 0x8A], "pickle"),
      (Array("GGUF".utf8) + [3, 0, 0, 0], "GGUF"),
      ([16, 0, 0, 0, 0, 0, 0, 0] + Array("{\"a\":1}".utf8), "safetensors"),
      (Array("<!DOCTYPE html><html>".utf8), "web page"), (Array("<html><head>".utf8), "web page"),
      (Array("version https://git-lfs.github.com/spec/v1\n".utf8), "git lfs pull"), ([], "is empty"),
    ] as [([UInt8], String)]
  )
  func kinds(bytes: [UInt8], hint: String) {
    expectRefusal("O8", hint, "not ") { try readModel(bytes) }
  }

  @Test("A message without a graph is no ONNX model")
  func noGraph() {
    expectRefusal("O8", "no graph") { try readModel(ProtoBytes().int(1, 8).bytes) }
  }
}
