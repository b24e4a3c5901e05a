import Foundation
import Testing

@testable import BinaryIO

/// A new folder that is removed with the value.
private final class Folder {
  let path: String

  init() throws {
    let name = "qconvert-test-\(UInt64.random(in: .min ... .max))"
    path = FileManager.default.temporaryDirectory.appendingPathComponent(name).path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func listing() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }

  func read(_ name: String) -> [UInt8]? {
    FileManager.default.contents(atPath: "\(path)/\(name)").map(Array.init)
  }

  func make(_ name: String, _ bytes: [UInt8] = [], mode: Int = 0o644) {
    let attributes: [FileAttributeKey: Any] = [.posixPermissions: mode]
    _ = FileManager.default.createFile(
      atPath: "\(path)/\(name)",
      contents: Data(bytes),
      attributes: attributes
    )
  }
}

private func refusal(_ body: () throws -> Void) -> Refusal? {
  do { try body() } catch { return error as? Refusal }
  return nil
}

@Suite struct AtomicFileTests {
  @Test("a committed file holds the bytes, the patch and nothing else")
  func commit() throws {
    let folder = try Folder()
    let large = (0..<700_001).map { UInt8(truncatingIfNeeded: $0) }
    var file = try AtomicFile("\(folder.path)/out")
    try file.write([1, 2, 3])
    try file.align(to: 64)
    try file.write(large)
    try file.write([9])
    try file.patch(at: 1, [7, 8])
    #expect(file.size == 64 + 700_002)
    #expect(try folder.listing().count == 1)
    #expect(folder.read("out") == nil)
    try file.commit()
    #expect(folder.read("out") == [1, 7, 8] + [UInt8](repeating: 0, count: 61) + large + [9])
    #expect(try folder.listing() == ["out"])
  }

  @Test("without a commit nothing remains")
  func discard() throws {
    let folder = try Folder()
    folder.make("out", [5])
    do {
      var file = try AtomicFile("\(folder.path)/out")
      try file.write([1])
    }
    #expect(try folder.listing() == ["out"])
    #expect(folder.read("out") == [5])
  }

  @Test("a failed verification leaves the old file and says why")
  func verification() throws {
    let folder = try Folder()
    folder.make("out", [5])
    let refused = refusal {
      var file = try AtomicFile("\(folder.path)/out")
      try file.write([1, 2])
      try file.commit { (path) throws(Refusal) in
        #expect(try MappedFile.open(path).count == 2)
        throw Refusal(.invalid, at: "byte 1", rule: "Q5", "is 2, expected 3", remedy: "")
      }
    }
    #expect(refused?.kind == .output)
    #expect(refused?.description.contains("byte 1: is 2, expected 3 [Q5]") == true)
    #expect(try folder.listing() == ["out"])
    #expect(folder.read("out") == [5])
  }

  @Test("the mode bits of a replaced file stay")
  func mode() throws {
    let folder = try Folder()
    folder.make("out", mode: 0o640)
    var file = try AtomicFile("\(folder.path)/out")
    try file.commit()
    let attributes = try FileManager.default.attributesOfItem(atPath: "\(folder.path)/out")
    #expect(attributes[.posixPermissions] as? Int == 0o640)
  }

  @Test("a symbolic link stays, the file behind it is replaced; a dangling one is refused")
  func links() throws {
    let folder = try Folder()
    folder.make("real", [1])
    let manager = FileManager.default
    try manager.createSymbolicLink(atPath: "\(folder.path)/link", withDestinationPath: "real")
    try manager.createSymbolicLink(atPath: "\(folder.path)/loose", withDestinationPath: "nothing")
    var file = try AtomicFile("\(folder.path)/link")
    try file.write([2])
    try file.commit()
    #expect(folder.read("real") == [2])
    #expect(try manager.destinationOfSymbolicLink(atPath: "\(folder.path)/link") == "real")
    #expect(refusal { _ = try AtomicFile("\(folder.path)/loose") }?.kind == .output)
  }

  @Test(
    "outputs that cannot be are refused with their path and the system's reason",
    arguments: [
      (".", "is a folder"), ("missing/out", "No such file or directory"), ("", "is a folder"),
      ("file/out", "Not a directory"), ("new/", "no file name"),
    ]
  )
  func refusals(name: String, problem: String) throws {
    let folder = try Folder()
    folder.make("file")
    let refused = refusal { _ = try AtomicFile("\(folder.path)/\(name)") }
    #expect(refused?.kind == .output)
    #expect(refused?.description.hasPrefix("\(folder.path)/\(name): ") == true)
    #expect(refused?.problem.contains(problem) == true, "\(refused?.problem ?? "accepted")")
    #expect(try folder.listing() == ["file"])
  }

  @Test("a full device is refused with the size and the reason")
  func fullDevice() {
    let refused = refusal {
      var file = try AtomicFile("/dev/full")
      try file.write([1, 2, 3])
      try file.commit()
    }
    #expect(refused?.problem == "took 0 of 3 bytes: No space left on device")
  }

  @Test("a pipe receives the verified bytes")
  func pipe() throws {
    let folder = try Folder()
    let path = "\(folder.path)/pipe"
    #expect(unsafe mkfifo(path, 0o600) == 0)
    // Open for reading and writing, so that neither side waits for the other.
    let pipe = unsafe open(path, O_RDWR | O_NONBLOCK)
    defer { close(pipe) }
    let bytes = (0..<60_000).map { UInt8(truncatingIfNeeded: $0 / 3) }
    var file = try AtomicFile(path)
    try file.write(bytes)
    try file.commit { (path) throws(Refusal) in #expect(try MappedFile.open(path).count == 60_000) }
    var received = [UInt8](repeating: 0, count: 60_001)
    #expect(unsafe read(pipe, &received, 60_001) == 60_000)
    #expect(received == bytes + [0])
  }

  @Test("leftovers of killed writers are swept, those of live ones and other files stay")
  func sweep() throws {
    let folder = try Folder()
    let dead = [".a.onnx.qconvert-1-0.tmp", ".a-b.qconvert-77-ffffffffffffffff.tmp"]
    let others = [
      ".a.qconvert-x-0.tmp", ".a.qconvert-1-0.bak", "a.qconvert-1-0.tmp",
      ".a.qconvert-1-10000000000000000.tmp",
      ".a.qconvert-1.tmp", ".qconvert--.tmp",
    ]
    for name in dead + others { folder.make(name) }
    let live = try AtomicFile("\(folder.path)/live")
    let before = try folder.listing()
    #expect(before.count == others.count + 1)
    var second = try AtomicFile("\(folder.path)/second")
    try second.commit()
    #expect(try folder.listing() == (before + ["second"]).sorted())
    _ = consume live
  }

  @Test("one file under two names is recognised")
  func sameFile() throws {
    let folder = try Folder()
    folder.make("a")
    folder.make("b")
    try FileManager.default.createSymbolicLink(atPath: "\(folder.path)/c", withDestinationPath: "a")
    #expect(AtomicFile.isSameFile("\(folder.path)/a", "\(folder.path)/c"))
    #expect(!AtomicFile.isSameFile("\(folder.path)/a", "\(folder.path)/b"))
    #expect(!AtomicFile.isSameFile("\(folder.path)/a", "\(folder.path)/d"))
  }
}
