public import BinaryIO
public import GraphIR

/// A safetensors file, or several that an index holds together: named tensors that are slices of the mapping.
///
/// The rules S1-S16 are enforced before anything is returned; see `Header`. A tensor whose data are not aligned to
/// its elements stays a slice and is copied when its elements are read (S15).
public struct SafetensorsFile: Sendable {
  /// In order of their data in the file; the files of an index in order of their names.
  public let entries: [(name: String, tensor: Tensor)]
  /// The strings of `__metadata__`; of an index, those of its files, the first one winning.
  public let metadata: [String: String]
  /// Bytes before the data: length, header text, padding; of an index, those of its files and its own.
  public let headerBytes: Int
  /// Bytes of all files.
  public let fileBytes: Int
  /// What is odd but harmless, one sentence each.
  public let warnings: [String]

  init(
    entries: [(name: String, tensor: Tensor)],
    metadata: [String: String],
    headerBytes: Int,
    fileBytes: Int,
    warnings: [String] = []
  ) {
    self.entries = entries
    self.metadata = metadata
    self.headerBytes = headerBytes
    self.fileBytes = fileBytes
    self.warnings = warnings
  }

  /// Opens `path`: a safetensors file, or the index (`model.safetensors.index.json`) of several.
  ///
  /// - Parameters:
  ///   - path: Told apart by content, not by name.
  ///   - limits: For counts, names and shapes.
  /// - Returns: All tensors; none is copied.
  /// - Throws: A refusal naming file, place and rule.
  public static func open(
    _ path: String,
    limits: Limits = .standard
  ) throws(Refusal) -> SafetensorsFile {
    do {
      let bytes = try MappedFile.open(path)
      guard !ShardIndex.looksLikeIndex(bytes) else {
        return try ShardIndex.open(bytes, path: path, limits: limits)
      }
      return try read(bytes, limits: limits)
    } catch {
      throw error.inFile(path)
    }
  }

  /// Reads one safetensors file that is already in memory.
  ///
  /// - Parameters:
  ///   - bytes: The whole file.
  ///   - limits: For counts, names and shapes.
  /// - Returns: All tensors, slices of `bytes`.
  /// - Throws: A refusal naming place and rule.
  public static func read(
    _ bytes: ByteSlice,
    limits: Limits = .standard
  ) throws(Refusal) -> SafetensorsFile {
    let text = try headerText(bytes)
    let dataStart = 8 + text.count
    let header = try Header(text, dataBytes: bytes.count - dataStart, limits: limits)
    var entries: [(name: String, tensor: Tensor)] = []
    entries.reserveCapacity(header.entries.count)
    for entry in header.entries {
      let range = (dataStart + entry.range.lowerBound)..<(dataStart + entry.range.upperBound)
      guard let slice = bytes.slice(range), let tensor = Tensor(entry.dtype, entry.shape, bytes: slice) else {
        throw Refusal(
          .invalid,
          at: "tensor \(Refusal.quoted(entry.name))",
          rule: "S11",
          "does not have the bytes of its shape",
          remedy: Remedy.rewrite
        )
      }
      entries.append((entry.name, tensor))
    }
    return SafetensorsFile(
      entries: entries,
      metadata: header.metadata,
      headerBytes: dataStart,
      fileBytes: bytes.count
    )
  }

  /// Whether bytes begin like a safetensors file or the index of several, for callers that pick a reader.
  ///
  /// - Parameter bytes: The whole file.
  public static func isLikely(_ bytes: ByteSlice) -> Bool {
    guard !ShardIndex.looksLikeIndex(bytes) else { return true }
    return bytes.withBytes { span in
      var reader = ByteReader(span)
      guard let length = reader.read(UInt64.self) else { return false }
      return length >= 2 && length <= headerLimit && span.byte(8) == UInt8(ascii: "{")
    }
  }

  /// Longest header, in bytes (S1).
  static let headerLimit = 100_000_000

  /// The bytes of the header text, its length checked against the file (S1).
  private static func headerText(_ bytes: ByteSlice) throws(Refusal) -> [UInt8] {
    try bytes.withBytes { (span) throws(Refusal) -> [UInt8] in
      var reader = ByteReader(span)
      guard span.byteCount >= 10, let length = reader.read(UInt64.self) else {
        throw refusal("has \(span.byteCount) bytes, a safetensors file has at least 10", span)
      }
      guard length >= 2, length <= headerLimit, length <= span.byteCount - 8 else {
        throw refusal(
          "announces a header of \(length) bytes, must be 2 to \(min(headerLimit, span.byteCount - 8))",
          span
        )
      }
      return unsafe span.extracting(8..<(8 + Int(length))).withUnsafeBytes { unsafe Array($0) }
    }
  }

  private static func refusal(_ problem: String, _ span: RawSpan) -> Refusal {
    Refusal(.invalid, at: "file byte 0", rule: "S1", problem, remedy: remedy(span))
  }

  /// The remedy for a file that is something else, by its first bytes.
  private static func remedy(_ span: RawSpan) -> String {
    let start = unsafe span.extracting(first: 64).withUnsafeBytes { unsafe Array($0) }
    func begins(_ text: String) -> Bool { start.starts(with: text.utf8) }
    if begins("PK\u{3}\u{4}") {
      return "it is a ZIP archive, such as a PyTorch checkpoint; save its tensors with a safetensors library"
    }
    if begins("version https://git-lfs") { return "it is a Git LFS pointer; fetch the file itself" }
    if begins("<") { return "it is a web page; download the file itself" }
    if begins("GGUF") { return "it is a GGUF file, which qconvert does not read" }
    return Remedy.rewrite
  }
}
