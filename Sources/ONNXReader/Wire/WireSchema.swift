/// The messages of an ONNX file that are read; `schemas/onnx.proto` lists the same fields.
enum MessageKind: UInt8 {
  case model, operatorSet, entry, function
  case graph, node, attribute, valueInfo
  case tensor, segment, sparseTensor
  case type, tensorType, shape, dimension
}

/// A field that is read: how it is encoded and how often it may occur.
struct WireField {
  /// How a value stands on the wire.
  enum Encoding {
    case varint
    case fixed32
    case fixed64
    /// UTF-8 text.
    case text
    /// UTF-8 text that names something: shorter, without control characters.
    case name
    case bytes
    /// Elements of a tensor, which may stay in the file.
    case payload(Payload)
    case message(MessageKind)
  }

  let name: String
  let encoding: Encoding
  let isRepeated: Bool

  private init(_ name: String, _ encoding: Encoding, _ isRepeated: Bool) {
    self.name = name
    self.encoding = encoding
    self.isRepeated = isRepeated
  }

  static func one(_ name: String, _ encoding: Encoding) -> WireField { WireField(name, encoding, false) }
  static func many(_ name: String, _ encoding: Encoding) -> WireField { WireField(name, encoding, true) }
}

/// The encodings of tensor elements whose bytes on the wire are those in memory.
enum Payload {
  case raw
  case floats
  case doubles

  /// Bytes of one element on the wire.
  var elementSize: Int {
    switch self {
    case .raw: 1
    case .floats: 4
    case .doubles: 8
    }
  }
}

extension MessageKind {
  /// The field with this number; nil for one that is skipped.
  func field(_ number: UInt32) -> WireField? {
    switch self {
    case .model: modelField(number)
    case .graph: graphField(number)
    case .node: nodeField(number)
    case .attribute: attributeField(number)
    case .tensor: tensorField(number)
    case .operatorSet, .entry, .function, .valueInfo, .type, .tensorType, .shape, .dimension:
      smallField(number)
    case .segment, .sparseTensor: nil
    }
  }

  private func modelField(_ number: UInt32) -> WireField? {
    switch number {
    case 1: .one("ir_version", .varint)
    case 2: .one("producer_name", .text)
    case 3: .one("producer_version", .text)
    case 7: .one("graph", .message(.graph))
    case 8: .many("opset_import", .message(.operatorSet))
    case 14: .many("metadata_props", .message(.entry))
    case 25: .many("functions", .message(.function))
    default: nil
    }
  }

  private func graphField(_ number: UInt32) -> WireField? {
    switch number {
    case 1: .many("node", .message(.node))
    case 2: .one("name", .text)
    case 5: .many("initializer", .message(.tensor))
    case 11: .many("input", .message(.valueInfo))
    case 12: .many("output", .message(.valueInfo))
    case 13: .many("value_info", .message(.valueInfo))
    case 15: .many("sparse_initializer", .message(.sparseTensor))
    default: nil
    }
  }

  private func nodeField(_ number: UInt32) -> WireField? {
    switch number {
    case 1: .many("input", .name)
    case 2: .many("output", .name)
    case 3: .one("name", .name)
    case 4: .one("op_type", .name)
    case 5: .many("attribute", .message(.attribute))
    case 7: .one("domain", .name)
    default: nil
    }
  }

  private func attributeField(_ number: UInt32) -> WireField? {
    switch number {
    case 1: .one("name", .name)
    case 2: .one("f", .fixed32)
    case 3: .one("i", .varint)
    case 4: .one("s", .bytes)
    case 5: .one("t", .message(.tensor))
    case 6: .one("g", .message(.graph))
    case 7: .many("floats", .fixed32)
    case 8: .many("ints", .varint)
    case 9: .many("strings", .bytes)
    case 10: .many("tensors", .message(.tensor))
    case 11: .many("graphs", .message(.graph))
    case 14: .one("tp", .message(.type))
    case 15: .many("type_protos", .message(.type))
    case 20: .one("type", .varint)
    case 21: .one("ref_attr_name", .name)
    case 22: .one("sparse_tensor", .message(.sparseTensor))
    case 23: .many("sparse_tensors", .message(.sparseTensor))
    default: nil
    }
  }

  private func tensorField(_ number: UInt32) -> WireField? {
    switch number {
    case 1: .many("dims", .varint)
    case 2: .one("data_type", .varint)
    case 3: .one("segment", .message(.segment))
    case 4: .many("float_data", .payload(.floats))
    case 5: .many("int32_data", .varint)
    case 6: .many("string_data", .bytes)
    case 7: .many("int64_data", .varint)
    case 8: .one("name", .name)
    case 9: .one("raw_data", .payload(.raw))
    case 10: .many("double_data", .payload(.doubles))
    case 11: .many("uint64_data", .varint)
    case 13: .many("external_data", .message(.entry))
    case 14: .one("data_location", .varint)
    default: nil
    }
  }

  private func smallField(_ number: UInt32) -> WireField? {
    switch (self, number) {
    case (.operatorSet, 1): .one("domain", .name)
    case (.operatorSet, 2): .one("version", .varint)
    case (.entry, 1): .one("key", .text)
    case (.entry, 2): .one("value", .text)
    case (.function, 1): .one("name", .name)
    case (.function, 10): .one("domain", .name)
    case (.valueInfo, 1): .one("name", .name)
    case (.valueInfo, 2): .one("type", .message(.type))
    case (.type, 1): .one("tensor_type", .message(.tensorType))
    case (.tensorType, 1): .one("elem_type", .varint)
    case (.tensorType, 2): .one("shape", .message(.shape))
    case (.shape, 1): .many("dim", .message(.dimension))
    case (.dimension, 1): .one("dim_value", .varint)
    case (.dimension, 2): .one("dim_param", .name)
    default: nil
    }
  }
}
