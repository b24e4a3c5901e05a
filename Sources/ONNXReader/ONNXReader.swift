public import BinaryIO
public import GraphIR

/// Reads ONNX files into the IR.
public enum ONNXReader {
  /// The network in the ONNX file at `path`, in the IR's canonical form.
  ///
  /// Weights stay in the mapped file, or in the mapped files of its external data.
  ///
  /// - Parameters:
  ///   - path: The file; external data is looked for beside it.
  ///   - limits: Sizes that are accepted.
  /// - Returns: A valid graph whose weights are slices of mapped files where they are large.
  /// - Throws: A refusal that names the file, the place, the rule and the remedy.
  public static func read(_ path: String, limits: Limits = .standard) throws(Refusal) -> Graph {
    do {
      return try graph(of: MappedFile.open(path, maximum: limits.onnxBytes), path: path, limits: limits)
    } catch {
      throw error.inFile(path)
    }
  }

  /// The network in the bytes of a file that lies, or would lie, at `path`.
  static func graph(of file: ByteSlice, path: String, limits: Limits) throws(Refusal) -> Graph {
    let model = try parse(file, limits: limits)
    let graph = try Importer.run(model, path: path, limits: limits)
    try GraphValidator.validate(graph, limits: limits)
    return graph
  }

  /// The messages of a file, with large payloads as slices of it.
  static func parse(_ file: ByteSlice, limits: Limits) throws(Refusal) -> Proto.Model {
    if let mistaken = MistakenFile(file) { throw mistaken.refusal }
    let budget = readerBudget(fileBytes: file.count)
    let skeleton = try file.withBytes { (bytes) throws(Refusal) in
      try WireScanner.scan(bytes, limits: limits, budget: budget)
    }
    return try ProtoUnpacker.unpack(skeleton, file: file, budget: budget)
  }

  /// Bytes that reading a file may take besides its mapping (L11).
  static func readerBudget(fileBytes: Int) -> Int { (64 << 20) + 4 * fileBytes }
}
