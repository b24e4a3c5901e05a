internal import BinaryIO
private import Glibc

/// Listing of folders, in an order that does not depend on the file system or the locale.
enum Folder {
  struct Entry {
    var name: String
    var isFolder: Bool
  }

  static func exists(_ path: String) -> Bool { kind(of: path) != nil }

  static func isFolder(_ path: String) -> Bool { kind(of: path) == S_IFDIR }

  /// The regular files and folders in `path` that are not hidden, sorted by the bytes of their names.
  static func entries(of path: String) throws(Refusal) -> [Entry] {
    guard let directory = unsafe opendir(path) else {
      throw Refusal(
        .unreadable,
        file: path,
        at: "folder",
        rule: "IO1",
        "cannot be listed: \(lastError())",
        remedy: "check the path and its permissions"
      )
    }
    defer { unsafe closedir(directory) }
    var entries: [Entry] = []
    while let entry = unsafe readdir(directory) {
      let text = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
          unsafe String(validatingCString: $0)
        }
      }
      guard let name = text else {
        throw Refusal(
          .invalid,
          file: path,
          at: "folder",
          rule: "D7",
          "holds a file name that is not UTF-8",
          remedy: "rename the file"
        )
      }
      guard !name.hasPrefix("."), let kind = kind(of: path + "/" + name) else { continue }
      if kind == S_IFDIR || kind == S_IFREG { entries.append(Entry(name: name, isFolder: kind == S_IFDIR)) }
    }
    return entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  /// What lies at `path`, symbolic links followed; nil for nothing.
  private static func kind(of path: String) -> mode_t? {
    var status = stat()
    return unsafe stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
  }

  /// The folder for temporary files.
  static var temporary: String {
    guard let path = unsafe getenv("TMPDIR") else { return "/tmp" }
    return unsafe String(cString: path)
  }
}
