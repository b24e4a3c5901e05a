import CSignals
import Glibc

/// The temporary file behind an ``AtomicFile``: an open, locked descriptor and the name to remove.
///
/// The lock tells a sweep that the writer is alive.
struct TemporaryFile {
  private let descriptor: Int32
  /// Nil for an unlinked file.
  private let name: Name?

  private final class Name {
    let path: String
    let slot: Int32
    var isPresent = true

    init(_ path: String) {
      self.path = path
      slot = unsafe qc_remember_temporary(path)
    }
  }

  /// Makes a file beside `target`, after sweeping the folder.
  init(beside target: String, mode: mode_t?, for output: String) throws(Refusal) {
    let (folder, base) = TemporaryFile.split(target)
    TemporaryFile.sweep(folder)
    for _ in 0..<16 {
      let path = folder + TemporaryFile.makeName(base)
      let flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
      let opened = unsafe open(path, flags, 0o666)
      guard opened >= 0 else {
        if errno == EEXIST { continue }
        throw AtomicFile.refusal(output, "cannot be created in its folder: \(lastError())")
      }
      // A sweep between open and lock may have removed the name.
      var status = stat()
      flock(opened, LOCK_EX)
      guard unsafe fstat(opened, &status) == 0, status.st_nlink == 1 else {
        close(opened)
        continue
      }
      if let mode { fchmod(opened, mode) }
      descriptor = opened
      name = Name(path)
      return
    }
    throw AtomicFile.refusal(output, "has no free temporary name in its folder")
  }

  /// Makes a file without a name, for an output that is no file.
  init(unlinkedFor output: String) throws(Refusal) {
    let folder = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    let temporaryFileFlag: Int32 = 0o20000000 | O_DIRECTORY
    descriptor = unsafe open(folder, temporaryFileFlag | O_RDWR | O_CLOEXEC, 0o600)
    name = nil
    guard descriptor >= 0 else {
      throw AtomicFile.refusal(
        output,
        "needs a temporary file in \(Refusal.quoted(folder)), which cannot be made: \(lastError())",
        remedy: "set TMPDIR to a folder that takes files"
      )
    }
  }

  /// A path to read the file from.
  var readPath: String { name?.path ?? "/proc/self/fd/\(descriptor)" }

  /// Writes all of `raw` at `offset`, whatever the system takes at a time.
  func write(
    _ raw: UnsafeRawBufferPointer,
    at offset: Int,
    wanted: Int,
    for output: String
  ) throws(Refusal) {
    var done = 0
    while done < raw.count {
      let rest = unsafe UnsafeRawBufferPointer(rebasing: raw[done...])
      let count = unsafe pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        throw AtomicFile.refusal(
          output,
          "cannot be written beyond \(offset + done) of at least \(wanted) bytes: \(lastError())"
        )
      }
      done += count
    }
  }

  /// Waits until the bytes are on the disk.
  func synchronize(wanted: Int, for output: String) throws(Refusal) {
    guard fsync(descriptor) == 0 else {
      throw AtomicFile.refusal(output, "of \(wanted) bytes cannot be stored: \(lastError())")
    }
  }

  /// Gives the file its final name and makes that durable.
  func rename(to target: String, size: Int, for output: String) throws(Refusal) {
    guard let name else { return }
    guard unsafe Glibc.rename(name.path, target) == 0 else {
      throw AtomicFile.refusal(output, "of \(size) bytes cannot be put in place: \(lastError())")
    }
    name.isPresent = false
    qc_forget_temporary(name.slot)
    let folder = unsafe open(TemporaryFile.split(target).folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { return }
    defer { close(folder) }
    guard fsync(folder) == 0 || errno == EINVAL else {
      throw AtomicFile.refusal(output, "is in place, but its folder cannot be stored: \(lastError())")
    }
  }

  /// Sends the bytes to a device or pipe.
  func copy(to output: String, size: Int) throws(Refusal) {
    let stream = unsafe open(output, O_WRONLY | O_CLOEXEC | O_NOCTTY)
    guard stream >= 0 else { throw AtomicFile.refusal(output, "cannot be opened: \(lastError())") }
    defer { close(stream) }
    let bytes = try MappedFile.map(descriptor, path: output, maximum: .max)
    try unsafe bytes.withUnsafeBytes { (raw) throws(Refusal) in
      var done = 0
      while done < raw.count {
        let rest = unsafe UnsafeRawBufferPointer(rebasing: raw[done...])
        let count = unsafe Glibc.write(stream, rest.baseAddress, rest.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else {
          throw AtomicFile.refusal(output, "took \(done) of \(size) bytes: \(lastError())")
        }
        done += count
      }
    }
  }

  /// Closes the file, and removes it unless it was renamed.
  func remove() {
    if let name, name.isPresent {
      unsafe unlink(name.path)
      name.isPresent = false
      qc_forget_temporary(name.slot)
    }
    close(descriptor)
  }
}

extension TemporaryFile {
  /// Folder (with its slash; `./` for a bare name) and last component of a path.
  static func split(_ path: String) -> (folder: String, base: String) {
    guard let slash = path.lastIndex(of: "/") else { return ("./", path) }
    return (String(path[...slash]), String(path[path.index(after: slash)...]))
  }

  private static let marker = ".qconvert-"

  private static func makeName(_ base: String) -> String {
    var stem = base
    while stem.utf8.count > 180 { stem.removeLast() }
    let random = String(UInt64.random(in: .min ... .max), radix: 16)
    return ".\(stem)\(marker)\(getpid())-\(random).tmp"
  }

  /// Whether a file is called as ``makeName(_:)`` calls them.
  static func isTemporaryName(_ name: String) -> Bool {
    guard name.hasPrefix("."), name.hasSuffix(".tmp") else { return false }
    let parts = name.dropLast(4).split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count >= 3 else { return false }
    let process = parts[parts.count - 2]
    let random = parts[parts.count - 1]
    return parts.dropLast(2).joined(separator: "-").hasSuffix(marker.dropLast())
      && !process.isEmpty && process.utf8.allSatisfy { (0x30...0x39).contains($0) }
      && (1...16).contains(random.utf8.count) && UInt64(random, radix: 16) != nil
  }

  /// Removes temporary files whose writer is gone from a folder.
  static func sweep(_ folder: String) {
    guard let listing = unsafe opendir(folder) else { return }
    defer { unsafe closedir(listing) }
    while let entry = unsafe readdir(listing) {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { unsafe text($0) }
      if let name, isTemporaryName(name) { removeIfAbandoned(folder + name) }
    }
  }

  private static func removeIfAbandoned(_ path: String) {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard file >= 0 else { return }
    defer { close(file) }
    var status = stat()
    guard unsafe fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(),
      flock(file, LOCK_EX | LOCK_NB) == 0
    else { return }
    unsafe unlink(path)
  }

  private static func text(_ raw: UnsafeRawBufferPointer) -> String? {
    unsafe String(validating: raw.prefix { $0 != 0 }, as: UTF8.self)
  }
}
