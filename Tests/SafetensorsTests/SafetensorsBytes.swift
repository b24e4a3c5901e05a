import BinaryIO
import Glibc
import Safetensors

/// The bytes of a safetensors file, made without the code under test.
func fileBytes(_ header: String, data: Int = 0, length: UInt64? = nil) -> [UInt8] {
  fileBytes(Array(header.utf8), data: (0..<data).map { UInt8(truncatingIfNeeded: $0) }, length: length)
}

func fileBytes(_ header: [UInt8], data: [UInt8] = [], length: UInt64? = nil) -> [UInt8] {
  let length = length ?? UInt64(header.count)
  return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + header + data
}

func slice(_ bytes: [UInt8]) throws(Refusal) -> ByteSlice {
  try unsafe ByteSlice.build(count: bytes.count) { (buffer) throws(Refusal) in
    unsafe buffer.copyBytes(from: bytes)
  }
}

func read(_ bytes: [UInt8]) throws(Refusal) -> SafetensorsFile { try SafetensorsFile.read(slice(bytes)) }

/// The rule that refuses these bytes; nil when they are accepted.
func refusedRule(_ bytes: [UInt8]) -> String? {
  do {
    _ = try read(bytes)
    return nil
  } catch {
    return error.rule
  }
}

func refusedRule(_ header: String, data: Int = 0) -> String? { refusedRule(fileBytes(header, data: data)) }

/// A folder that is removed at the end of a test.
final class TemporaryFolder {
  let path: String

  init() {
    var template = Array("/tmp/qconvert-test-XXXXXX".utf8CString)
    path = unsafe template.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress, let made = unsafe mkdtemp(base) else { return "/nonexistent" }
      return unsafe String(cString: made)
    }
  }

  deinit {
    for name in names { unsafe unlink("\(path)/\(name)") }
    unsafe rmdir(path)
  }

  private var names: [String] = []

  /// Writes a file and returns its path.
  @discardableResult
  func add(_ name: String, _ bytes: [UInt8]) -> String {
    names.append(name)
    let descriptor = unsafe open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
    return "\(path)/\(name)"
  }

  func link(_ name: String, to target: String) {
    names.append(name)
    unsafe symlink(target, "\(path)/\(name)")
  }
}

/// Small, fast and seeded: SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
