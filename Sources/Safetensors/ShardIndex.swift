import BinaryIO
import Glibc
import GraphIR

/// The index of a model that is split into several safetensors files (S14).
///
/// `{"metadata": {"total_size": N}, "weight_map": {"TENSOR": "FILE", ...}}`
struct ShardIndex {
  private var files: [String: String] = [:]
  private var totalSize: Int?

  /// Whether the first bytes are JSON: as a safetensors header length they would be above its limit.
  static func looksLikeIndex(_ bytes: ByteSlice) -> Bool {
    bytes.withBytes { span in
      var reader = ByteReader(span)
      guard span.byte(0) == UInt8(ascii: "{"), let length = reader.read(UInt64.self) else { return false }
      return length > SafetensorsFile.headerLimit
    }
  }

  /// Opens all files that the index names.
  static func open(_ bytes: ByteSlice, path: String, limits: Limits) throws(Refusal) -> SafetensorsFile {
    let index = try ShardIndex(bytes, limits: limits)
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    var entries: [(name: String, tensor: Tensor)] = []
    var metadata: [String: String] = [:]
    var headerBytes = bytes.count
    var fileBytes = bytes.count
    for name in Set(index.files.values).sorted() {
      let shard = try index.openShard(name, folder: folder, limits: limits)
      entries += shard.entries
      metadata.merge(shard.metadata) { first, _ in first }
      headerBytes += shard.headerBytes
      fileBytes += shard.fileBytes
    }
    try index.checkComplete(entries)
    return SafetensorsFile(
      entries: entries,
      metadata: metadata,
      headerBytes: headerBytes,
      fileBytes: fileBytes,
      warnings: index.warnings(entries)
    )
  }

  private init(_ bytes: ByteSlice, limits: Limits) throws(Refusal) {
    guard bytes.count <= SafetensorsFile.headerLimit else {
      throw ShardIndex.refusal(
        "file",
        "has \(bytes.count) bytes, at most \(SafetensorsFile.headerLimit) are read"
      )
    }
    let text = bytes.withBytes { span in unsafe span.withUnsafeBytes { unsafe Array($0) } }
    var scanner = JSONScanner(text, label: "index")
    var files: [String: String]?
    var totalSize: Int?
    try scanner.object { (scanner, key) throws(Refusal) in
      switch key {
      case "weight_map": files = try ShardIndex.weightMap(&scanner, limits)
      case "metadata":
        try scanner.object { (scanner, key) throws(Refusal) in
          var ahead = scanner
          if key == "total_size", let size = try? ahead.integer() { totalSize = size }
          try scanner.skipValue(depth: 16)
        }
      default: try scanner.skipValue(depth: 16)
      }
    }
    scanner.skipWhitespace()
    guard scanner.remaining.isEmpty else { throw scanner.invalid("S14", "is followed by something else") }
    guard let files else { throw ShardIndex.refusal("index", "has no 'weight_map'") }
    self.files = files
    self.totalSize = totalSize
  }

  private static func weightMap(
    _ scanner: inout JSONScanner,
    _ limits: Limits
  ) throws(Refusal) -> [String: String] {
    var files: [String: String] = [:]
    try scanner.object { (scanner, tensor) throws(Refusal) in
      try checkName(tensor, limits)
      guard files.count < limits.objects else {
        throw Refusal(
          .limit,
          at: "tensor \(Refusal.quoted(tensor))",
          rule: "L5",
          "is one tensor too many; at most \(limits.objects) are accepted",
          remedy: "split the model"
        )
      }
      files[tensor] = try scanner.string("a file name")
    }
    return files
  }

  /// Opens one file inside `folder` without following links (O51, O52).
  private func openShard(_ name: String, folder: String, limits: Limits) throws(Refusal) -> SafetensorsFile {
    let place = "file \(Refusal.quoted(name))"
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard !name.isEmpty, name.utf8.count <= 1024, !name.contains("\\"), !name.contains(":"),
      parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." })
    else {
      throw ShardIndex.refusal(place, "must be a relative path inside the folder of the index")
    }
    var descriptor = unsafe Glibc.open(
      folder.isEmpty ? "." : folder,
      O_RDONLY | O_DIRECTORY | O_CLOEXEC
    )
    for (position, part) in parts.enumerated() where descriptor >= 0 {
      let kind = position == parts.count - 1 ? O_NONBLOCK : O_DIRECTORY
      let next = unsafe openat(descriptor, String(part), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | kind)
      let problem = errno
      close(descriptor)
      errno = problem
      descriptor = next
    }
    guard descriptor >= 0 else {
      throw Refusal(
        .unreadable,
        at: place,
        rule: "S14",
        "cannot be opened: \(lastError())",
        remedy: "put all files of the model beside the index, as files and not as links"
      )
    }
    defer { close(descriptor) }
    do {
      let bytes = try MappedFile.map(descriptor, path: folder + name, maximum: 1 << 41)
      return try SafetensorsFile.read(bytes, limits: limits)
    } catch {
      throw error.inFile(folder + name)
    }
  }

  /// Every tensor of the index is in its file, and every tensor of the files is in the index.
  private func checkComplete(_ entries: [(name: String, tensor: Tensor)]) throws(Refusal) {
    var seen: Set<String> = []
    for entry in entries {
      let place = "tensor \(Refusal.quoted(entry.name))"
      guard files[entry.name] != nil else {
        throw ShardIndex.refusal(place, "is in a file, but not in the index")
      }
      guard seen.insert(entry.name).inserted else {
        throw ShardIndex.refusal(place, "is in more than one file")
      }
    }
    guard let missing = files.keys.filter({ !seen.contains($0) }).min() else { return }
    throw ShardIndex.refusal(
      "tensor \(Refusal.quoted(missing))",
      "is not in any file, the index puts it into \(Refusal.quoted(files[missing] ?? ""))"
    )
  }

  private func warnings(_ entries: [(name: String, tensor: Tensor)]) -> [String] {
    let bytes = entries.reduce(0) { $0 + $1.tensor.bytes.count }
    guard let totalSize, totalSize != bytes else { return [] }
    return ["the index announces \(totalSize) bytes of tensors, the files hold \(bytes) [S14]"]
  }

  private static func refusal(_ place: String, _ problem: String) -> Refusal {
    Refusal(
      .invalid,
      at: place,
      rule: "S14",
      problem,
      remedy: "download all files of the model again; index and files must belong together"
    )
  }
}
