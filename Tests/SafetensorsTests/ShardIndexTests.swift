import BinaryIO
import Glibc
import GraphIR
import TestSupport
import Testing

@testable import Safetensors

struct ShardIndexTests {
  private func shard(_ names: [String]) -> [UInt8] {
    let entries = names.enumerated().map { index, name in
      "\"\(name)\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[\(index),\(index + 1)]}"
    }
    return fileBytes("{\(entries.joined(separator: ","))}", data: names.count)
  }

  private func open(
    _ index: String,
    _ files: [(String, [UInt8])],
    prepare: (String) -> Void = { _ in }
  ) throws -> SafetensorsFile {
    try withTemporaryFolder { folder in
      for (name, bytes) in files { try write(bytes, to: "\(folder)/\(name)") }
      prepare(folder)
      let path = "\(folder)/model.safetensors.index.json"
      try write(Array(index.utf8), to: path)
      return try SafetensorsFile.open(path)
    }
  }

  private func refused(_ index: String, _ files: [(String, [UInt8])]) -> String? {
    do {
      _ = try open(index, files)
      return nil
    } catch let refusal as Refusal {
      return "\(refusal.rule) \(refusal.place)"
    } catch { return "\(error)" }
  }

  private let index = """
    {"metadata": {"total_size": 3, "other": [1.5e3, {"x": null}]},
     "weight_map": {"c": "2.safetensors", "a": "1.safetensors", "b": "1.safetensors"}}

    """

  @Test("the files of an index are opened together, in order of their names")
  func together() throws {
    let file = try open(index, [("1.safetensors", shard(["b", "a"])), ("2.safetensors", shard(["c"]))])
    #expect(file.entries.map(\.name) == ["b", "a", "c"])
    #expect(file.warnings.isEmpty)
    #expect(file.fileBytes == file.headerBytes + 3)
  }

  @Test("a total size that differs is a warning")
  func totalSize() throws {
    let other = index.replacing("\"total_size\": 3", with: "\"total_size\": 4")
    let file = try open(other, [("1.safetensors", shard(["b", "a"])), ("2.safetensors", shard(["c"]))])
    #expect(file.warnings == ["the index announces 4 bytes of tensors, the files hold 3 [S14]"])
  }

  @Test("index and files must agree")
  func agreement() {
    let second = ("2.safetensors", shard(["c"]))
    #expect(refused(index, [("1.safetensors", shard(["a"])), second]) == "S14 tensor \"b\"")
    #expect(refused(index, [("1.safetensors", shard(["a", "b", "x"])), second]) == "S14 tensor \"x\"")
    #expect(refused(index, [("1.safetensors", shard(["a", "b", "c"])), second]) == "S14 tensor \"c\"")
    #expect(refused(index, [second]) == "S14 file \"1.safetensors\"")
    #expect(refused("{\"metadata\": {}}", []) == "S14 index")
    #expect(refused(index + "x", []) == "S14 index byte \(index.utf8.count)")
    #expect(refused("{\"weight_map\": {\"a\": \"x\", \"a\": \"y\"}}", [])?.hasPrefix("S4") == true)
  }

  @Test(
    "file names stay inside the folder",
    arguments: ["/etc/passwd", "../1.safetensors", "a/../1.safetensors", "./1", "", "a//b", "C:1", #"a\\b"#]
  )
  func containment(_ name: String) {
    #expect(refused("{\"weight_map\": {\"a\": \"\(name)\"}}", [])?.hasPrefix("S14 file") == true)
  }

  @Test("links are not followed")
  func links() {
    let refusal = #expect(throws: Refusal.self) {
      try open("{\"weight_map\": {\"a\": \"link.safetensors\"}}", [("1.safetensors", shard(["a"]))]) {
        unsafe symlink("1.safetensors", "\($0)/link.safetensors")
      }
    }
    #expect(refusal?.rule == "S14" && refusal?.kind == .unreadable)
  }

  @Test("a refusal inside a file of the index names that file")
  func inner() {
    let refusal = #expect(throws: Refusal.self) {
      try open("{\"weight_map\": {\"a\": \"1.safetensors\"}}", [("1.safetensors", [0])])
    }
    #expect(refusal?.file?.hasSuffix("/1.safetensors") == true && refusal?.rule == "S1")
  }

  @Test("nesting is limited")
  func nesting() {
    func nested(_ depth: Int) -> String {
      let opens = String(repeating: "[", count: depth)
      let closes = String(repeating: "]", count: depth)
      return "{\"x\": \(opens)\(closes), \"weight_map\": {}}"
    }
    #expect(refused(nested(16), []) == nil)
    #expect(refused(nested(17), [])?.hasPrefix("L8") == true)
    #expect(refused(nested(100_000), [])?.hasPrefix("L8") == true)
  }

  @Test("mutated indexes never trap")
  func mutations() {
    var random = SplitMix64(seed: 7)
    for _ in 0..<300 {
      var bytes = Array(index.utf8)
      for _ in 0..<3 { bytes[random.int(1...(bytes.count - 1))] = UInt8(random.int(0...255)) }
      guard let mapped = try? slice(bytes), ShardIndex.looksLikeIndex(mapped) else { continue }
      _ = try? ShardIndex.open(mapped, path: "/nonexistent/index.json", limits: .standard)
    }
  }
}
