public import BinaryIO
public import GraphIR

/// What a writer may choose.
public struct QModelWriterOptions: Hashable, Sendable {
  /// Whether tensors are compressed, each in the way that is smallest, instead of stored for use in place.
  public var compress: Bool

  public init(compress: Bool = false) { self.compress = compress }
}

/// Writes .qmodel files; the bytes depend on the graph and the options only.
public enum QModelWriter {
  /// Writes a network, one tensor at a time.
  ///
  /// The file is read back and verified before it takes the target's place.
  ///
  /// - Parameters:
  ///   - graph: A graph that the validator accepts.
  ///   - path: The target, replaced atomically.
  ///   - options: What to choose.
  /// - Throws: A refusal when the graph is invalid or the file cannot be written.
  public static func write(
    _ graph: Graph,
    to path: String,
    options: QModelWriterOptions = QModelWriterOptions()
  ) throws(Refusal) {
    try GraphValidator.validate(graph)
    let encoder = try GraphEncoder(graph)
    let metadata = MetadataCoder.encode(graph.metadata)
    var output = try SectionWriter(path, sections: 2 + encoder.tensors.count)
    try output.writeMessage(encoder.bytes, .graph)
    try output.writeMessage(metadata, .metadata)
    for id in encoder.tensors {
      guard let tensor = graph[id].constant else { continue }
      try output.writeTensor(tensor, compress: options.compress)
      tensor.releasePages()
    }
    try output.finish { (path) throws(Refusal) in
      try verify(path, graph, encoder, metadata)
    }
  }

  /// Reads a written file back, one tensor at a time.
  private static func verify(
    _ path: String,
    _ graph: Graph,
    _ encoder: GraphEncoder,
    _ metadata: [UInt8]
  ) throws(Refusal) {
    let file = try QModelFile.open(path)
    let messages = try [file.read(file.sections[0]), file.read(file.sections[1])]
    for (message, expected) in zip(messages, [encoder.bytes, metadata]) {
      guard unsafe message.withUnsafeBytes({ unsafe $0.elementsEqual(expected) }) else {
        throw malformed("graph and metadata", "Q13", "read back as something else")
      }
    }
    _ = try MetadataCoder.decode(messages[1], limits: .standard)
    _ = try GraphDecoder.decode(messages[0], limits: .standard) { (id) throws(Refusal) in
      guard let tensor = graph[encoder.tensors[id - 2]].constant else { return nil }
      let bytes = try file.read(file.sections[id])
      return bytes.count == tensor.bytes.count ? tensor.bytes : nil
    }
  }
}

/// Writes sections one after the other, then index and header into the room kept for them.
struct SectionWriter: ~Copyable {
  private var file: AtomicFile
  private var sections: [Section] = []
  /// CRCs of the stored bytes alone, seeded when the identifier is known.
  private var storedChecksums: [CRC32] = []
  private let count: Int

  init(_ path: String, sections count: Int) throws(Refusal) {
    var file = try AtomicFile(path)
    try file.write([UInt8](repeating: 0, count: Header.size + count * Section.entrySize))
    self.file = file
    self.count = count
  }

  /// Writes a graph or metadata section, compressed where that is smaller.
  mutating func writeMessage(_ bytes: [UInt8], _ kind: SectionKind) throws(Refusal) {
    let slice = try unsafe ByteSlice.build(count: bytes.count) { (target) throws(Refusal) in
      unsafe target.copyBytes(from: bytes)
    }
    let best = try Compression.best(slice, candidates: [Compression(.zlib, .standard)])
    let isAllowed = best.map { bytes.count <= Section.largestMessage(stored: $0.size) } ?? true
    try write(slice, kind, isAllowed ? best?.compression : nil)
  }

  /// Writes the section of a tensor.
  mutating func writeTensor(_ tensor: Tensor, compress: Bool) throws(Refusal) {
    guard compress else { return try write(tensor.bytes, .tensor, nil) }
    let candidates = Compression.candidates(for: tensor.dtype)
    try write(tensor.bytes, .tensor, try Compression.best(tensor.bytes, candidates: candidates)?.compression)
  }

  private mutating func write(
    _ bytes: ByteSlice,
    _ kind: SectionKind,
    _ compression: Compression?
  ) throws(Refusal) {
    try file.align(to: Header.alignment)
    let offset = file.size
    var stored = CRC32()
    if let compression {
      try Deflate.compress(bytes, order: compression.codec.order, strategy: compression.strategy) {
        (piece) throws(Refusal) in
        try file.write(piece)
        stored.update(piece)
        return true
      }
    } else {
      try file.write(bytes)
      stored = CRC32(bytes)
    }
    sections.append(
      Section(
        offset: offset,
        storedLength: file.size - offset,
        rawLength: bytes.count,
        storedChecksum: 0,
        rawChecksum: compression == nil ? stored.value : CRC32(bytes).value,
        id: sections.count,
        kindNumber: kind.rawValue,
        codec: compression?.codec ?? .raw,
        isOptional: false
      )
    )
    storedChecksums.append(stored)
  }

  /// Completes the file and puts it in place.
  mutating func finish(verify: (_ path: String) throws(Refusal) -> Void) throws(Refusal) {
    precondition(sections.count == count, "\(sections.count) sections of \(count) were written")
    let identifier = Section.identifier(of: sections)
    var index: [UInt8] = []
    for position in sections.indices {
      let seed = sections[position].seed(identifier)
      sections[position].storedChecksum = seed.followed(by: storedChecksums[position]).value
      index += sections[position].bytes
    }
    let header = Header(
      fileLength: file.size,
      sectionCount: count,
      indexChecksum: CRC32(index).value,
      identifier: identifier
    )
    try file.patch(at: 0, header.bytes + index)
    try file.commit(verify: verify)
  }
}
