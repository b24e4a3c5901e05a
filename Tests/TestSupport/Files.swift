import Glibc

/// Runs `body` with the path of a new empty folder, which is removed with all it holds afterwards.
package func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  var template = Array("\(environment("TMPDIR") ?? "/tmp")/qconvert-test-XXXXXX".utf8CString)
  guard unsafe mkdtemp(&template) != nil else { throw TestFailure("no temporary folder can be made") }
  let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  defer { removeTree(path, depth: 16) }
  return try body(path)
}

/// Why a helper could not do its work.
package struct TestFailure: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

/// Folder of data shared between checkouts: `QCONVERT_SHARED`, or `../shared` beside the package; nil if there is none.
///
/// Tests that need it skip, naming it, where it is absent.
package func sharedFolder() -> String? {
  let path = environment("QCONVERT_SHARED") ?? "\(packageFolder())/../shared"
  var status = stat()
  guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return nil }
  return path
}

/// Folder of the package's manifest.
package func packageFolder() -> String {
  var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
  parts.removeLast(3)
  return parts.joined(separator: "/")
}

/// Makes an empty folder in one that exists.
package func makeFolder(_ path: String) throws {
  guard unsafe mkdir(path, 0o700) == 0 else { throw TestFailure("\(path) cannot be made") }
}

/// Writes a file, for inputs of readers under test.
package func write(_ bytes: [UInt8], to path: String) throws {
  guard let file = unsafe fopen(path, "wb") else { throw TestFailure("\(path) cannot be written") }
  let written = unsafe fwrite(bytes, 1, bytes.count, file)
  guard unsafe fclose(file) == 0, written == bytes.count else {
    throw TestFailure("\(path) cannot be written")
  }
}

/// All bytes of a file.
package func readFile(_ path: String) throws -> [UInt8] {
  guard let file = unsafe fopen(path, "rb") else { throw TestFailure("\(path) cannot be read") }
  defer { unsafe fclose(file) }
  var result: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = unsafe fread(&buffer, 1, buffer.count, file)
    guard count > 0 else { return result }
    result += buffer[..<count]
  }
}

private func environment(_ name: String) -> String? {
  guard let value = unsafe getenv(name) else { return nil }
  return unsafe String(cString: value)
}

private func removeTree(_ path: String, depth: Int) {
  var status = stat()
  guard unsafe lstat(path, &status) == 0 else { return }
  guard status.st_mode & S_IFMT == S_IFDIR, depth > 0 else {
    unsafe unlink(path)
    return
  }
  for name in entries(path) { removeTree("\(path)/\(name)", depth: depth - 1) }
  unsafe rmdir(path)
}

/// Names in a folder, sorted, without `.` and `..`; empty where it cannot be read.
package func entries(_ path: String) -> [String] {
  guard let folder = unsafe opendir(path) else { return [] }
  defer { unsafe closedir(folder) }
  var names: [String] = []
  while let entry = unsafe readdir(folder) {
    let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
      unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
    }
    if name != ".", name != ".." { names.append(name) }
  }
  return names.sorted()
}
