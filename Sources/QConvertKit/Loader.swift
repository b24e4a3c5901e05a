internal import Architectures
package import BinaryIO
package import GraphIR
internal import ONNXReader
internal import QModelFormat
internal import Safetensors

/// The formats that can be read, told apart by content.
package enum ModelFormat: String, Sendable {
  case onnx
  case safetensors
  case qmodel

  /// What the first bytes of a file say; anything that is neither of the others is taken for ONNX, whose reader
  /// explains what it finds.
  package static func detect(_ path: String) throws(Refusal) -> ModelFormat {
    let bytes = try MappedFile.open(path)
    return bytes.withBytes { span in
      if QModelFile.hasMagic(span) { return .qmodel }
      if path.hasSuffix(".safetensors.index.json") { return .safetensors }
      if span.byte(8) == UInt8(ascii: "{"), span.byte(7) == 0, span.byte(6) == 0 { return .safetensors }
      return path.hasSuffix(".safetensors") ? .safetensors : path.hasSuffix(".qmodel") ? .qmodel : .onnx
    }
  }
}

/// Turns any readable file into a validated graph.
package enum Loader {
  /// Loads a network.
  ///
  /// - Parameters:
  ///   - path: An `.onnx`, `.safetensors` or `.qmodel` file; the content decides.
  ///   - architecture: The architecture of a bare checkpoint; nil: recognised.
  ///   - inputSize: The size of images for a bare checkpoint, `N` or `HxW`; nil: the usual one.
  /// - Throws: A refusal naming the file; also (C4) when it has a graph and one of these is given.
  package static func load(
    _ path: String,
    architecture: String? = nil,
    inputSize: String? = nil
  ) throws(Refusal) -> Graph {
    try inFile(path) { () throws(Refusal) in
      let format = try ModelFormat.detect(path)
      if format != .safetensors { try refuse(architecture, inputSize) }
      switch format {
      case .qmodel: return try QModelReader.read(path)
      case .onnx: return try ONNXReader.read(path)
      case .safetensors: return try checkpoint(path, architecture, inputSize)
      }
    }
  }

  /// Loads one of several networks: architecture and input size count for bare checkpoints among them.
  package static func loadOneOfSeveral(
    _ path: String,
    architecture: String?,
    inputSize: String?
  ) throws(Refusal) -> Graph {
    let isBare = try inFile(path) { () throws(Refusal) in
      guard try ModelFormat.detect(path) == .safetensors else { return false }
      return !SafetensorsGraph.isPresent(in: try SafetensorsFile.open(path))
    }
    return try load(path, architecture: isBare ? architecture : nil, inputSize: isBare ? inputSize : nil)
  }

  /// Refuses an architecture or an input size for a file that has a graph.
  package static func refuse(_ architecture: String?, _ inputSize: String?) throws(Refusal) {
    guard let architecture else {
      guard let inputSize else { return }
      throw Refusal(
        .usage,
        at: "input size \(Refusal.quoted(inputSize))",
        rule: "C4",
        "the file has a graph of its own, whose inputs are fixed",
        remedy: "leave out --input-size, or export the network at that size"
      )
    }
    throw Refusal(
      .usage,
      at: "architecture \(Refusal.quoted(architecture))",
      rule: "C4",
      "the file has a graph of its own, which no architecture can replace",
      remedy: "leave out --arch"
    )
  }

  private static func checkpoint(
    _ path: String,
    _ architecture: String?,
    _ inputSize: String?
  ) throws(Refusal) -> Graph {
    let file = try SafetensorsFile.open(path)
    if SafetensorsGraph.isPresent(in: file) {
      try refuse(architecture, inputSize)
      return try SafetensorsGraph.read(file)
    }
    let checkpoint = try Checkpoint(
      file.entries,
      settings: ModelFolder(of: path).settings(for: file.entries.map(\.name)),
      inputSize: inputSize.map(size)
    )
    var graph = try Architectures.build(checkpoint, named: architecture)
    graph.metadata[MetadataKey.source] = "safetensors"
    try TypeInference.infer(&graph)
    try GraphValidator.validate(graph)
    return graph
  }

  private static func size(_ text: String) throws(Refusal) -> ImageSize {
    guard let size = ImageSize(text) else {
      throw Refusal(
        .usage,
        at: "input size \(Refusal.quoted(text))",
        rule: "C4",
        "is neither N nor HxW in pixels, 1 to 65535",
        remedy: "give it as in --input-size 224 or --input-size 224x448"
      )
    }
    return size
  }
}
