public import BinaryIO
public import GraphIR

/// Reads .qmodel files.
public enum QModelReader {
  /// Reads the network of a file; raw tensors are slices of its mapping.
  ///
  /// Every byte is verified: header, index, padding, and the checksums of all sections. The graph is validated as
  /// one from any other source.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - limits: Bounds on what is accepted.
  ///   - allocator: Where decompressed tensors live.
  /// - Throws: A refusal naming the file, the place and the rule of `schemas/qmodel.md` that is broken.
  public static func read(
    _ path: String,
    limits: Limits = .standard,
    allocator: StorageAllocator = .heap
  ) throws(Refusal) -> Graph {
    try graph(of: try QModelFile.open(path, limits: limits), limits: limits, allocator: allocator)
  }

  /// Reads the network of an opened file.
  package static func graph(
    of file: QModelFile,
    limits: Limits = .standard,
    allocator: StorageAllocator = .heap
  ) throws(Refusal) -> Graph {
    do {
      let graph = try decode(file, limits, allocator)
      try GraphValidator.validate(graph, limits: limits)
      return graph
    } catch { throw error.inFile(file.path) }
  }

  /// Decodes all sections without validating the graph.
  static func decode(
    _ file: QModelFile,
    _ limits: Limits,
    _ allocator: StorageAllocator
  ) throws(Refusal) -> Graph {
    try file.checkMemory()
    for section in file.sections where section.kind == nil { try file.checkStored(section) }
    let metadata = try MetadataCoder.decode(try file.read(file.sections[1]), limits: limits)
    let graphBytes = try file.read(file.sections[0])
    var (graph, used) = try GraphDecoder.decode(graphBytes, limits: limits) { (id) throws(Refusal) in
      guard file.sections.indices.contains(id), file.sections[id].kind == .tensor else { return nil }
      return try file.read(file.sections[id], in: allocator)
    }
    let tensors = file.sections.count { $0.kind == .tensor }
    guard used == tensors else {
      throw malformed("graph section", "Q10", "uses \(used) of \(tensors) tensor sections")
    }
    graph.metadata = metadata
    return graph
  }
}
