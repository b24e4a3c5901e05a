import CSignals
import Glibc

/// An output file that appears complete or not at all.
///
/// Bytes go to `.NAME.qconvert-PID-RANDOM.tmp` beside the target. ``commit(verify:)`` synchronises it, lets the
/// caller read it back, renames it over the target and synchronises the folder. Without a commit the temporary
/// file is removed; one that a killed process left is removed by the next writer in the same folder.
///
/// A symbolic link is followed: the file behind it is replaced. Devices and pipes cannot be replaced; their bytes
/// are collected in an unlinked file and copied out by the commit.
public struct AtomicFile: ~Copyable {
  /// The target as the caller named it.
  public let path: String
  /// Bytes written so far.
  public private(set) var size = 0

  private let destination: Destination
  private let temporary: TemporaryFile
  private var buffer: [UInt8] = []
  private var isFinished = false

  private static let bufferSize = 1 << 18

  /// Opens an output for writing.
  ///
  /// - Parameter path: The target; its folder must exist.
  /// - Throws: A refusal when the target is a folder, a block device, write-protected, or its folder takes no file.
  public init(_ path: String) throws(Refusal) {
    let destination = try Destination(path)
    let temporary =
      switch destination {
      case .file(let target, let mode): try TemporaryFile(beside: target, mode: mode, for: path)
      case .stream: try TemporaryFile(unlinkedFor: path)
      }
    self.path = path
    self.destination = destination
    self.temporary = temporary
    buffer.reserveCapacity(AtomicFile.bufferSize)
  }

  deinit {
    temporary.remove()
  }

  /// Appends bytes.
  public mutating func write(_ bytes: RawSpan) throws(Refusal) {
    try unsafe bytes.withUnsafeBytes { (raw) throws(Refusal) in try unsafe append(raw) }
  }

  /// Appends bytes.
  public mutating func write(_ bytes: ByteSlice) throws(Refusal) {
    try unsafe bytes.withUnsafeBytes { (raw) throws(Refusal) in try unsafe append(raw) }
  }

  /// Appends bytes.
  public mutating func write(_ bytes: [UInt8]) throws(Refusal) {
    try unsafe bytes.span.bytes.withUnsafeBytes { (raw) throws(Refusal) in try unsafe append(raw) }
  }

  /// Appends zeros up to the next multiple of `alignment`, a power of two.
  public mutating func align(to alignment: Int) throws(Refusal) {
    let padding = -size & (alignment - 1)
    if padding > 0 { try write([UInt8](repeating: 0, count: padding)) }
  }

  /// Replaces bytes that were written before.
  ///
  /// - Parameters:
  ///   - offset: Where they begin; the range must lie inside what was written.
  ///   - bytes: The new bytes.
  /// - Throws: A refusal when the system refuses the write.
  public mutating func patch(at offset: Int, _ bytes: [UInt8]) throws(Refusal) {
    precondition(offset >= 0 && offset <= size - bytes.count, "the patch is not inside the file")
    try flush()
    try unsafe bytes.span.bytes.withUnsafeBytes { (raw) throws(Refusal) in
      try unsafe temporary.write(raw, at: offset, wanted: size, for: path)
    }
  }

  /// Puts the file in its place.
  ///
  /// - Parameter verify: Reads the finished file back from the path it is given and throws if it is not as it
  ///   should be; the target is then left untouched.
  /// - Throws: A refusal when the file cannot be written, verified or renamed.
  public mutating func commit(
    verify: (_ path: String) throws(Refusal) -> Void = { (_) throws(Refusal) in }
  ) throws(Refusal) {
    precondition(!isFinished, "the file was committed before")
    isFinished = true
    try flush()
    if case .file = destination { try temporary.synchronize(wanted: size, for: path) }
    do { try verify(temporary.readPath) } catch {
      throw Refusal(
        .output,
        file: path,
        at: "verification after writing",
        rule: "IO3",
        "\(error.place): \(error.problem) [\(error.rule)]",
        remedy: "check the disk; the output was not replaced"
      )
    }
    switch destination {
    case .file(let target, _): try temporary.rename(to: target, size: size, for: path)
    case .stream: try temporary.copy(to: path, size: size)
    }
  }

  /// Whether both paths lead to one existing file, as an output that would replace its input.
  public static func isSameFile(_ a: String, _ b: String) -> Bool {
    var first = stat()
    var second = stat()
    guard unsafe stat(a, &first) == 0, unsafe stat(b, &second) == 0 else { return false }
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino
  }

  private mutating func append(_ raw: UnsafeRawBufferPointer) throws(Refusal) {
    if buffer.count + raw.count > AtomicFile.bufferSize { try flush() }
    if raw.count >= AtomicFile.bufferSize {
      try unsafe temporary.write(raw, at: size, wanted: size + raw.count, for: path)
    } else {
      unsafe buffer.append(contentsOf: raw)
    }
    size += raw.count
  }

  private mutating func flush() throws(Refusal) {
    guard !buffer.isEmpty else { return }
    try unsafe buffer.span.bytes.withUnsafeBytes { (raw) throws(Refusal) in
      try unsafe temporary.write(raw, at: size - raw.count, wanted: size, for: path)
    }
    buffer.removeAll(keepingCapacity: true)
  }
}

/// Where an output goes, decided from what is there before.
private enum Destination {
  /// A file that is made or replaced, and the mode bits it shall keep.
  case file(String, mode: mode_t?)
  /// A character device or a pipe.
  case stream

  init(_ path: String) throws(Refusal) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else {
      guard errno == ENOENT else { throw AtomicFile.refusal(path, "cannot be examined: \(lastError())") }
      guard unsafe lstat(path, &status) != 0, !path.isEmpty, !path.hasSuffix("/") else {
        throw AtomicFile.refusal(path, "is a link to nothing or no file name", remedy: "name a file")
      }
      self = .file(path, mode: nil)
      return
    }
    switch status.st_mode & S_IFMT {
    case S_IFREG where !path.hasPrefix("/dev/") && !path.hasPrefix("/proc/"):
      guard unsafe access(path, W_OK) == 0 else {
        throw AtomicFile.refusal(path, "is write-protected: \(lastError())")
      }
      self = .file(try Destination.resolved(path), mode: status.st_mode & 0o777)
    case S_IFREG, S_IFCHR, S_IFIFO: self = .stream
    case S_IFDIR:
      throw AtomicFile.refusal(path, "is a folder", remedy: "name a file inside it")
    default:
      throw AtomicFile.refusal(path, "is neither a file nor a pipe", remedy: "name a file")
    }
  }

  private static func resolved(_ path: String) throws(Refusal) -> String {
    guard let text = unsafe realpath(path, nil) else {
      throw AtomicFile.refusal(path, "cannot be resolved: \(lastError())")
    }
    defer { unsafe free(text) }
    return unsafe String(cString: text)
  }
}

extension AtomicFile {
  /// The refusal of an output: what was tried, and the system's word on it.
  static func refusal(
    _ path: String,
    _ problem: String,
    remedy: String = "check the folder, its permissions and the free space"
  ) -> Refusal {
    Refusal(.output, file: path, at: "output", rule: "IO2", problem, remedy: remedy)
  }
}
