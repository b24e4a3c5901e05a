import BinaryIO
import Glibc
import GraphIR
import TestSupport
import Testing

@testable import ONNXReader

struct ExternalDataTests {
  private func entries(_ pairs: [(String, String)]) -> [Proto.Entry] {
    pairs.map { Proto.Entry(key: $0.0, value: $0.1) }
  }

  private func external(_ pairs: [(String, String)], _ dims: [Int], _ name: String = "w") -> ProtoBytes {
    tensor(name, 1, dims).int(14, 1).messages(13, pairs.map { ProtoBytes().text(1, $0.0).text(2, $0.1) })
  }

  /// `y = x + w` with external `w: f32[2]`.
  private func model(_ tensors: [ProtoBytes]) -> ModelBytes {
    ModelBytes(
      nodes: [node("Add", ["x", "w"], ["y"])],
      initializers: tensors,
      inputs: [value("x", 1, ["2"])],
      outputs: [value("y", 1, ["2"])]
    )
  }

  @Test("Elements are read from the file beside the model")
  func reading() throws {
    try withTemporaryFolder { folder in
      let numbers: [Float] = [9, 1, 2]
      try write(numbers.flatMap { ProtoBytes.little($0.bitPattern) }, to: "\(folder)/w.data")
      let path = "\(folder)/model.onnx"
      try write(
        model([external([("location", "./w.data"), ("offset", "4"), ("length", "8")], [2])]).bytes,
        to: path
      )
      let graph = try ONNXReader.read(path)
      let id = try #require(graph.value(named: "w"))
      #expect(graph[id].constant?.floatValues() == [1, 2])
      try write(model([external([("location", "w.data")], [2])]).bytes, to: path)
      let first = try ONNXReader.read(path)
      #expect(first.value(named: "w").flatMap { first[$0].constant?.floatValues() } == [9, 1])
    }
  }

  @Test(
    "Locations that leave the folder are refused",
    arguments: [
      ("/etc/passwd", "O51"), ("../w.data", "O51"), ("a/../../w.data", "O51"), ("", "O51"), (".", "O51"),
      ("a\\b", "O51"), ("C:/w", "O51"), (String(repeating: "a", count: 1_025), "O51"),
      ("*/_ORT_MEM_ADDR_/*", "O58"),
    ]
  )
  func locations(location: String, rule: String) {
    expectRefusal(rule) { try ExternalData.components(location) }
  }

  @Test("Two dots inside a name are harmless")
  func dots() throws {
    #expect(try ExternalData.components("sub/a..b").map(String.init) == ["sub", "a..b"])
  }

  @Test("Links, folders, pipes and the model itself are refused")
  func identity() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/model.onnx"
      try write(Array(repeating: 0, count: 64), to: path)
      try write(Array(repeating: 0, count: 64), to: "\(folder)/w.data")
      try write(Array(repeating: 0, count: 64), to: "\(folder)/hard")
      _ = unsafe (symlink("\(folder)/w.data", "\(folder)/link"), link("\(folder)/hard", "\(folder)/hard2"))
      _ = unsafe (
        mkdir("\(folder)/sub", 0o700), mkfifo("\(folder)/pipe", 0o600), symlink("sub", "\(folder)/subl")
      )
      try write(Array(repeating: 0, count: 64), to: "\(folder)/sub/w.data")
      func open(_ location: String) throws -> ByteSlice {
        try ExternalData(modelPath: path).bytes(entries([("location", location)]), expected: 8)
      }
      #expect(try open("sub/w.data").count == 8)
      expectRefusal("O52", "symbolic link") { try open("link") }
      expectRefusal("O52") { try open("subl/w.data") }
      expectRefusal("O52", "2 hard links") { try open("hard") }
      expectRefusal("O52", "not a regular file") { try open("sub") }
      expectRefusal("O52", "not a regular file") { try open("pipe") }
      expectRefusal("O52", "No such file") { try open("missing") }
      expectRefusal("O57", "model itself") { try open("model.onnx") }
    }
  }

  @Test("Entries must be complete, plain and within the file")
  func entryRules() throws {
    try withTemporaryFolder { folder in
      try write(Array(repeating: 0, count: 64), to: "\(folder)/w.data")
      func open(_ pairs: [(String, String)], _ expected: Int = 8) throws -> ByteSlice {
        try ExternalData(modelPath: "\(folder)/m.onnx").bytes(
          entries([("location", "w.data")] + pairs),
          expected: expected
        )
      }
      #expect(try open([("offset", "56"), ("length", "8"), ("basepath", "x")]).count == 8)
      expectRefusal("O50", "'offset' twice") { try open([("offset", "0"), ("offset", "0")]) }
      expectRefusal("O53", "7 bytes", "needs 8") { try open([("length", "7")]) }
      expectRefusal("O53", "offset") { try open([("offset", "-1")]) }
      expectRefusal("O53", "offset") { try open([("offset", "0x10")]) }
      expectRefusal("O53", "offset") { try open([("offset", "99999999999999999999")]) }
      expectRefusal("O53", "64 bytes") { try open([("offset", "57")]) }
      expectRefusal("O53", "64 bytes") { try open([("offset", "9223372036854775807")]) }
      expectRefusal("O56") { try open([("checksum", "00")]) }
      expectRefusal("O51", "no location") {
        try ExternalData(modelPath: "m").bytes(entries([("offset", "0")]), expected: 8)
      }
    }
  }

  @Test(
    "Tensors may share a range, but not overlap",
    arguments: [("8", 2, true), ("16", 2, true), ("8", 3, false), ("12", 2, false), ("0", 3, false)]
  )
  func overlaps(offset: String, count: Int, isAccepted: Bool) throws {
    try withTemporaryFolder { folder in
      try write(Array(repeating: 0, count: 64), to: "\(folder)/w.data")
      let tensors = [
        external([("location", "w.data"), ("offset", "8")], [2]),
        external([("location", "w.data"), ("offset", offset)], [count], "other"),
      ]
      let file = model(tensors)
      if isAccepted {
        _ = try file.read(at: "\(folder)/model.onnx")
      } else {
        expectRefusal("O55", "w.data") { try file.read(at: "\(folder)/model.onnx") }
      }
    }
  }

  @Test("External data and inline data exclude each other")
  func bothSources() {
    let both = external([("location", "w.data")], [2]).blob(9, Array(repeating: 0, count: 8))
    expectRefusal("O32", "external data and 'raw_data'") { try model([both]).read() }
    let undeclared = tensor("w", 1, [2]).messages(13, [ProtoBytes().text(1, "location").text(2, "w.data")])
    expectRefusal("O32") { try model([undeclared]).read() }
  }
}
