import BinaryIO
import Glibc
import GraphIR
import Testing

@testable import Datasets

/// A folder of its own for a test, removed with it.
final class Scratch {
  let path: String

  init() {
    let base = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    path = "\(base)/qconvert-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    unsafe mkdir(path, 0o700)
  }

  deinit { remove(path) }

  private func remove(_ path: String) {
    for entry in (try? Folder.entries(of: path)) ?? [] {
      let inner = "\(path)/\(entry.name)"
      if entry.isFolder { remove(inner) } else { unsafe unlink(inner) }
    }
    unsafe rmdir(path)
  }

  /// Makes a folder inside.
  func folder(_ name: String) { unsafe mkdir("\(path)/\(name)", 0o700) }

  /// Writes a file inside and returns its path.
  @discardableResult
  func file(_ name: String, _ bytes: [UInt8]) -> String {
    let whole = "\(path)/\(name)"
    let descriptor = unsafe open(whole, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    _ = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
    return whole
  }

  @discardableResult
  func file(_ name: String, text: String) -> String { file(name, Array(text.utf8)) }
}

/// The committed fixtures; see `tools/make-image-fixtures`.
enum Fixture {
  static func path(_ name: String) -> String {
    #filePath.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/Fixtures/" + name
  }

  static func bytes(_ name: String) throws -> [UInt8] {
    try MappedFile.open(path(name)).withBytes { span in (0..<span.byteCount).compactMap { span.byte($0) } }
  }

  static let expected: [String: Tensor] = {
    let contents = try? NPZFile.read(path("expected.npz"))
    return Dictionary((contents?.arrays ?? []).map { ($0.name, $0.tensor) }) { first, _ in first }
  }()
}

func slice(_ bytes: [UInt8]) throws -> ByteSlice {
  try unsafe ByteSlice.build(count: bytes.count) { (target) throws(Refusal) in
    unsafe target.copyBytes(from: bytes)
  }
}

/// Largest difference between samples; nil for different counts.
func distance(_ a: [UInt8], _ b: [UInt8]) -> Int? {
  a.count == b.count ? zip(a, b).map { abs(Int($0) - Int($1)) }.max() : nil
}

/// The refusal that `body` ends with.
func refusal(_ body: () throws -> Void) -> Refusal? {
  do {
    try body()
    return nil
  } catch { return error as? Refusal }
}
