internal import BinaryIO
internal import GraphIR
internal import QModelFormat
internal import Safetensors

/// Writes a graph in the format that the path's extension names.
struct ModelWriter {
  private enum Format { case qmodel, safetensors }

  private let path: String
  private let format: Format
  private let compress: Bool

  /// - Throws: A refusal (usage) for an extension that cannot be written.
  init(path: String, compress: Bool) throws(Refusal) {
    self.path = path
    self.compress = compress
    if path.hasSuffix(".qmodel") || path == "/dev/stdout" {
      format = .qmodel
    } else if path.hasSuffix(".safetensors") {
      format = .safetensors
      guard !compress else {
        throw Refusal(
          .usage,
          file: path,
          at: "output",
          rule: "C3",
          "the safetensors format has no compressed tensors",
          remedy: "leave out --compress, or write a .qmodel"
        )
      }
    } else {
      throw Refusal(
        .usage,
        file: path,
        at: "output",
        rule: "C2",
        "its extension names no format that can be written",
        remedy: "let it end in .qmodel or .safetensors"
      )
    }
  }

  func write(_ graph: Graph) throws(Refusal) {
    switch format {
    case .qmodel:
      try QModelWriter.write(graph, to: path, options: QModelWriterOptions(compress: compress))
    case .safetensors: try SafetensorsGraph.write(graph, to: path)
    }
  }
}
