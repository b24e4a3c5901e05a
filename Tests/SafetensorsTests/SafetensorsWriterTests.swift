import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import Safetensors

/// The bytes that the writer makes.
func written(
  _ tensors: [(name: String, tensor: Tensor)],
  metadata: [String: String] = [:]
) throws(Refusal) -> [UInt8] {
  var result: [UInt8] = []
  try SafetensorsWriter.write(tensors, metadata: metadata) { (span) throws(Refusal) in
    unsafe span.withUnsafeBytes { unsafe result.append(contentsOf: $0) }
  }
  return result
}

struct SafetensorsWriterTests {
  private func samples() throws -> [(name: String, tensor: Tensor)] {
    [
      ("b", try Tensor.make(.int8, [3], [1, 2, 3] as [Int8])),
      ("a", try Tensor.make(.float32, [2, 1], [1.5, -2] as [Float])),
      ("z", try Tensor.make(.int64, [], [9] as [Int64])),
      ("A", try Tensor.make(.float16, [1], [0.5] as [Float16])),
      ("é \"\\\u{1F600}", try Tensor.make(.float32, [0, 4], [] as [Float])),
    ]
  }

  @Test("the bytes are those of the format")
  func bytes() throws {
    let text = """
      {"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}
      """
    let tensor = try Tensor.make(.float32, [2, 1], [1.5, -2] as [Float])
    let padded = Array(text.utf8) + [UInt8](repeating: 0x20, count: 120 - text.utf8.count)
    let expected = fileBytes(padded, data: [0, 0, 0xC0, 0x3F, 0, 0, 0, 0xC0])
    #expect(try written([("a", tensor)], metadata: ["k": "v"]) == expected)
  }

  @Test("what is written is read back, aligned and with large elements first")
  func roundTrip() throws {
    let metadata = ["text": "line\n\ttab \"quoted\" \\ \u{1} ä", "": "empty key"]
    let file = try read(written(samples(), metadata: metadata))
    #expect(file.metadata == metadata)
    #expect(file.entries.map(\.name) == ["z", "a", "é \"\\\u{1F600}", "A", "b"])
    #expect(file.headerBytes % 64 == 0)
    for (name, tensor) in file.entries {
      let original = try #require(try samples().first { $0.name == name }).tensor
      #expect(tensor.dtype == original.dtype && tensor.shape == original.shape)
      #expect(bytes(of: tensor) == bytes(of: original))
      #expect(tensor.bytes.isAligned(to: tensor.dtype.size))
    }
  }

  private func bytes(of tensor: Tensor) -> [UInt8] {
    unsafe tensor.bytes.withUnsafeBytes { unsafe Array($0) }
  }

  @Test("the order of the arguments does not matter")
  func deterministic() throws {
    #expect(
      try written(samples(), metadata: ["a": "", "b": ""])
        == written(samples().reversed(), metadata: ["b": "", "a": ""])
    )
  }

  @Test("nothing at all is a valid file")
  func empty() throws {
    let bytes = try written([])
    #expect(bytes.count == 64)
    #expect(try read(bytes).entries.isEmpty)
  }

  @Test("names that cannot be stored are refused", arguments: ["", "__metadata__", "a\n", "b"])
  func badNames(_ name: String) throws {
    let tensor = try Tensor.floats([1])
    #expect(throws: Refusal.self) { try written([("b", tensor), (name, tensor)]) }
  }

  @Test("random files survive the round trip", arguments: [11, 12, 13] as [UInt64])
  func random(_ seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    for _ in 0..<20 {
      let tensors = try (0..<Int.random(in: 0...12, using: &random)).map { index in
        let dtype = DType.allCases.randomElement(using: &random) ?? .float32
        let shape = (0..<Int.random(in: 0...3, using: &random)).map { _ in
          Int.random(in: 0...4, using: &random)
        }
        let content = (0..<(shape.reduce(dtype.size, *))).map { _ in UInt8.random(in: 0...255, using: &random)
        }
        let tensor = try #require(Tensor(dtype, shape, bytes: slice(content)))
        return (name: "t\(Int.random(in: 0...9, using: &random)).\(index)", tensor: tensor)
      }
      let file = try read(written(tensors))
      #expect(file.entries.count == tensors.count)
      for (name, tensor) in tensors {
        let back = try #require(file.entries.first { $0.name == name }).tensor
        #expect(back.dtype == tensor.dtype && back.shape == tensor.shape)
        #expect(bytes(of: back) == bytes(of: tensor))
      }
    }
  }
}
