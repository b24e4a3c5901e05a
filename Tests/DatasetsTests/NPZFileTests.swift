import BinaryIO
import GraphIR
import Testing

@testable import Datasets

@Suite struct NPZFileTests {
  @Test func everyElementTypeOfNumPyIsRead() throws {
    let contents = try NPZFile.read(Fixture.path("kinds.npz"))
    #expect(contents.names == "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8".split(separator: " ").map(String.init))
    for (name, tensor) in contents.arrays {
      #expect(tensor.shape == [2, 3])
      #expect(tensor.floatValues() == [1, 2, 3, 4, 5, 100], "\(name)")
    }
  }

  @Test func onlyWantedArraysAreRead() throws {
    let contents = try NPZFile.read(Fixture.path("kinds.npz")) { $0 == "i4" }
    #expect(contents.names.count == 11 && contents.arrays.map(\.name) == ["i4"])
  }

  @Test func whatIsWrittenReadsBackAndIsDeterministic() throws {
    let scratch = Scratch()
    let arrays = [
      ("logits", try Tensor.floats([1, 2, 3, 4, 5, 6], [2, 3])), ("labels", try Tensor.int64s([4, 5], [2])),
      ("empty", try Tensor.floats([], [0, 3])),
    ]
    let paths = ["\(scratch.path)/a.npz", "\(scratch.path)/b.npz"]
    for path in paths { try NPZFile.write(arrays.map { (name: $0.0, tensor: $0.1) }, to: path) }
    let back = try NPZFile.read(paths[0])
    #expect(back.arrays.map(\.name) == arrays.map(\.0))
    #expect(back.arrays.map(\.tensor.type) == arrays.map(\.1.type))
    #expect(back.arrays[0].tensor.elements(as: Float.self) == [1, 2, 3, 4, 5, 6])
    let files = try paths.map { path in
      try MappedFile.open(path).withBytes { span in (0..<span.byteCount).compactMap { span.byte($0) } }
    }
    #expect(files[0] == files[1])
  }

  @Test func anUnwritablePathIsRefused() throws {
    let tensor = try Tensor.floats([1])
    let refused = refusal { try NPZFile.write([("a", tensor)], to: "/nonexistent/folder/a.npz") }
    #expect(refused?.kind == .output)
  }

  @Test func otherFilesAreRefused() throws {
    let scratch = Scratch()
    let path = scratch.file("a.npz", text: "no zip")
    let refused = refusal { _ = try NPZFile.read(path) }
    #expect(refused?.rule == "D6" && refused?.file == path)
    #expect(refusal { _ = try NPZFile.read(scratch.path + "/none.npz") }?.rule == "IO1")
  }

  @Test func truncationIsRefusedAndDamageNeverTraps() throws {
    let scratch = Scratch()
    let bytes = try Fixture.bytes("kinds.npz")
    for count in stride(from: 0, to: bytes.count, by: 13) {
      let path = scratch.file("cut.npz", Array(bytes.prefix(count)))
      #expect(refusal { _ = try NPZFile.read(path) } != nil, "\(count) bytes")
    }
    var random = SplitMix64(seed: 3)
    for _ in 0..<300 {
      var damaged = bytes
      damaged[Int(random.next() % UInt64(bytes.count))] ^= 1 << UInt8(random.next() % 8)
      let path = scratch.file("damaged.npz", damaged)
      if let contents = try? NPZFile.read(path) {
        // What passes has intact arrays: every data byte is under the archive's checksum.
        for (_, tensor) in contents.arrays { #expect(tensor.floatValues() == [1, 2, 3, 4, 5, 100]) }
      }
    }
  }
}
