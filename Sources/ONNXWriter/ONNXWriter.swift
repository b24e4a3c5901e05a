public import BinaryIO
public import GraphIR

/// Writes .onnx files; the bytes depend on the graph only.
///
/// Quantization stays as explicit as in the IR: `QuantizeLinear`, `DequantizeLinear` and `DynamicQuantizeLinear` around float
/// operators (QDQ), which runtimes fuse into their own integer kernels. The operators are those of opset 21.
public enum ONNXWriter {
  /// The opset that files declare: the first one with quantization by blocks.
  static let operatorSet = 21
  /// The version of the file format that belongs to the opset.
  static let irVersion = 10
  /// Protobuf messages end here; the tensors of a larger network go to a file of their own.
  static let largestMessage = Int(Int32.max)

  /// Writes a network.
  ///
  /// The tensors of a network of 2 GiB and more are written to `PATH.data` beside the file, as ONNX has it.
  ///
  /// - Parameters:
  ///   - graph: A graph that the validator accepts.
  ///   - path: The target, replaced atomically.
  ///   - verify: Reads the finished file back before it takes the target's place, and throws if it is not as it should be.
  /// - Throws: A refusal when the graph is invalid, ONNX cannot say what an operator does, or the file cannot be written.
  public static func write(
    _ graph: Graph,
    to path: String,
    verify: (_ path: String) throws(Refusal) -> Void
  ) throws(Refusal) {
    try write(graph, to: path, largestMessage: largestMessage, verify: verify)
  }

  static func write(
    _ graph: Graph,
    to path: String,
    largestMessage: Int,
    verify: (_ path: String) throws(Refusal) -> Void
  ) throws(Refusal) {
    try GraphValidator.validate(graph)
    let exporter = try GraphExporter(graph)
    let inline = ModelEncoder(exporter, external: nil)
    if inline.byteCount <= largestMessage {
      try write(inline, to: path, verify)
    } else {
      let data = try ExternalTensors(exporter.constants, path: path + ".data")
      try write(ModelEncoder(exporter, external: data), to: path, verify)
    }
  }

  private static func write(
    _ encoder: ModelEncoder,
    to path: String,
    _ verify: (_ path: String) throws(Refusal) -> Void
  ) throws(Refusal) {
    var file = try AtomicFile(path)
    for piece in encoder.pieces {
      switch piece {
      case .bytes(let bytes): try file.write(bytes)
      case .payload(let slice):
        try file.write(slice)
        slice.storage.releasePages(slice.range)
      }
    }
    try file.commit(verify: verify)
  }
}
