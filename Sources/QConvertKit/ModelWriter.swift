internal import BinaryIO
internal import GraphIR
internal import ONNXReader
internal import ONNXWriter
internal import QModelFormat
internal import Safetensors

/// Writes a graph in the format that the path's extension names.
struct ModelWriter {
  private enum Format { case qmodel, onnx, safetensors }

  private let path: String
  private let format: Format
  private let compress: Bool

  /// - Throws: A refusal (usage) for an extension that cannot be written.
  init(path: String, compress: Bool) throws(Refusal) {
    self.path = path
    self.compress = compress
    if path.hasSuffix(".qmodel") || path == "/dev/stdout" {
      format = .qmodel
    } else {
      guard let format = ModelWriter.uncompressed[path.split(separator: ".").last.map(String.init) ?? ""]
      else {
        throw Refusal(
          .usage,
          file: path,
          at: "output",
          rule: "C2",
          "its extension names no format that can be written",
          remedy: "let it end in .qmodel, .onnx or .safetensors"
        )
      }
      guard !compress else {
        throw Refusal(
          .usage,
          file: path,
          at: "output",
          rule: "C3",
          "the format has no compressed tensors",
          remedy: "leave out --compress, or write a .qmodel"
        )
      }
      self.format = format
    }
  }

  private static let uncompressed: [String: Format] = ["onnx": .onnx, "safetensors": .safetensors]

  func write(_ graph: Graph) throws(Refusal) {
    switch format {
    case .qmodel:
      try QModelWriter.write(graph, to: path, options: QModelWriterOptions(compress: compress))
    case .onnx:
      try ONNXWriter.write(graph, to: path) { (path) throws(Refusal) in _ = try ONNXReader.read(path) }
    case .safetensors: try SafetensorsGraph.write(graph, to: path)
    }
  }
}
