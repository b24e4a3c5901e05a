import BinaryIO
import GraphIR

/// The bytes of a model's file, with constants as slices that are not copied.
///
/// Numbers of fields are those of `schemas/onnx.proto`.
struct ModelEncoder {
  /// A part of the file.
  enum Piece {
    case bytes([UInt8])
    /// The elements of a constant.
    case payload(ByteSlice)

    var byteCount: Int {
      switch self {
      case .bytes(let bytes): bytes.count
      case .payload(let slice): slice.count
      }
    }
  }

  private(set) var pieces: [Piece] = []

  var byteCount: Int { pieces.reduce(0) { $0 + $1.byteCount } }

  /// - Parameter external: Where constants are that the file does not hold itself.
  init(_ exporter: GraphExporter, external: ExternalTensors?) {
    let body = ModelEncoder.graph(exporter, external)
    var head = ProtoWriter()
    head.field(1, ONNXWriter.irVersion)
    head.field(2, "qconvert")
    head.header(7, byteCount: body.reduce(0) { $0 + $1.byteCount })
    var tail = ProtoWriter()
    var operatorSet = ProtoWriter()
    operatorSet.field(1, "")
    operatorSet.field(2, ONNXWriter.operatorSet)
    tail.field(8, operatorSet)
    for (key, value) in ModelEncoder.metadata(exporter.graph) {
      tail.field(14, ModelEncoder.entry(key, value))
    }
    pieces = [.bytes(head.bytes)] + body + [.bytes(tail.bytes)]
  }

  private static func graph(_ exporter: GraphExporter, _ external: ExternalTensors?) -> [Piece] {
    var head = ProtoWriter()
    for node in exporter.nodes { head.field(1, message(node)) }
    head.field(2, exporter.graph.name.isEmpty ? "main" : exporter.graph.name)
    var pieces: [Piece] = [.bytes(head.bytes)]
    for (index, constant) in exporter.constants.enumerated() {
      var tensor = message(constant)
      var header = ProtoWriter()
      if let external, let offset = external.offsets[index] {
        tensor.field(13, entry("location", external.location))
        tensor.field(13, entry("offset", String(offset)))
        tensor.field(13, entry("length", String(constant.bytes.count)))
        tensor.field(14, 1)
        header.field(5, tensor)
        pieces.append(.bytes(header.bytes))
      } else {
        tensor.header(9, byteCount: constant.bytes.count)
        header.header(5, byteCount: tensor.bytes.count + constant.bytes.count)
        pieces += [.bytes(header.bytes + tensor.bytes), .payload(constant.bytes)]
      }
    }
    var tail = ProtoWriter()
    for (name, type) in exporter.inputs { tail.field(11, message(name, type)) }
    for (name, type) in exporter.outputs { tail.field(12, message(name, type)) }
    return pieces + [.bytes(tail.bytes)]
  }

  /// All of a tensor but its elements.
  private static func message(_ constant: ONNXConstant) -> ProtoWriter {
    var result = ProtoWriter()
    result.field(1, packed: constant.dims)
    result.field(2, constant.elementType)
    result.field(8, constant.name)
    return result
  }

  private static func message(_ node: ONNXNode) -> ProtoWriter {
    var result = ProtoWriter()
    for input in node.inputs { result.field(1, input) }
    for output in node.outputs { result.field(2, output) }
    if !node.name.isEmpty { result.field(3, node.name) }
    result.field(4, node.opType)
    for entry in node.attributes.entries { result.field(5, message(entry)) }
    return result
  }

  /// An attribute; its last field is the number of its type.
  private static func message(_ entry: Attributes.Entry) -> ProtoWriter {
    var result = ProtoWriter()
    result.field(1, entry.name)
    let type: Int
    switch entry.value {
    case .float(let value):
      result.field(2, fixed32: value.bitPattern)
      type = 1
    case .int(let value):
      result.field(3, value)
      type = 2
    case .string(let value):
      result.field(4, value)
      type = 3
    case .floats(let values):
      for value in values { result.field(7, fixed32: value.bitPattern) }
      type = 6
    case .ints(let values):
      for value in values { result.field(8, value) }
      type = 7
    }
    result.field(20, type)
    return result
  }

  private static func message(_ name: String, _ type: TensorType) -> ProtoWriter {
    var shape = ProtoWriter()
    for dim in type.dims {
      var entry = ProtoWriter()
      switch dim {
      case .known(let extent): entry.field(1, extent)
      case .symbol(let symbol): entry.field(2, symbol)
      case .unknown: break
      }
      shape.field(1, entry)
    }
    var tensor = ProtoWriter()
    tensor.field(1, Int(type.dtype.rawValue))
    tensor.field(2, shape)
    var wrapper = ProtoWriter()
    wrapper.field(1, tensor)
    var result = ProtoWriter()
    result.field(1, name)
    result.field(2, wrapper)
    return result
  }

  private static func entry(_ key: String, _ value: String) -> ProtoWriter {
    var result = ProtoWriter()
    result.field(1, key)
    result.field(2, value)
    return result
  }

  /// What came from an ONNX file under its key there, the tool's own notes behind a prefix; sorted.
  ///
  /// The file tells of itself where it came from.
  private static func metadata(_ graph: Graph) -> [(String, String)] {
    let told = [MetadataKey.source, MetadataKey.producer]
    return graph.metadata.filter { !told.contains($0.key) }.map { key, value in
      let isForeign = key.hasPrefix(MetadataKey.onnxPrefix)
      return (
        isForeign ? String(key.dropFirst(MetadataKey.onnxPrefix.count)) : MetadataKey.ownPrefix + key, value
      )
    }.sorted { $0.0 < $1.0 }
  }
}
