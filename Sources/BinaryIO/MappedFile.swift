import Glibc

/// A regular file, mapped read-only as a whole.
public enum MappedFile {
  /// Maps the file at `path`.
  ///
  /// - Parameters:
  ///   - path: The file; symbolic links are followed.
  ///   - maximum: The largest size that is accepted, in bytes.
  /// - Returns: All bytes of the file.
  /// - Throws: A refusal when it cannot be opened, is not a regular file, or is larger than `maximum`.
  public static func open(_ path: String, maximum: Int = 1 << 41) throws(Refusal) -> ByteSlice {
    let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw unreadable(path, "cannot be opened: \(lastError())") }
    defer { close(descriptor) }
    return try map(descriptor, path: path, maximum: maximum)
  }

  /// Maps the regular file behind an open descriptor, which stays the caller's.
  package static func map(_ descriptor: Int32, path: String, maximum: Int) throws(Refusal) -> ByteSlice {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      throw unreadable(path, "cannot be examined: \(lastError())")
    }
    guard status.st_mode & S_IFMT == S_IFREG else { throw unreadable(path, "is not a regular file") }
    let size = Int(status.st_size)
    guard size <= maximum else {
      throw Refusal(
        .limit,
        file: path,
        at: "file",
        rule: "L10",
        "has \(size) bytes, at most \(maximum) are accepted",
        remedy: "keep the weights in external data files or split the model"
      )
    }
    guard size > 0 else { return ByteSlice(try ByteStorage.heap(count: 0)) }
    let base = unsafe mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0)
    guard let base = unsafe base, unsafe base != MAP_FAILED else {
      throw unreadable(path, "cannot be mapped: \(lastError())")
    }
    return ByteSlice(unsafe ByteStorage(owning: base, count: size, kind: .mapped))
  }

  private static func unreadable(_ path: String, _ problem: String) -> Refusal {
    Refusal(
      .unreadable,
      file: path,
      at: "file",
      rule: "IO1",
      problem,
      remedy: "check the path and its permissions"
    )
  }
}

/// The text of the current `errno`.
package func lastError() -> String {
  unsafe String(cString: strerror(errno))
}
