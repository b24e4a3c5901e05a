import BinaryIO

/// The messages of an ONNX file as Swift values, in the shape of `schemas/onnx.proto`.
///
/// Nothing is judged here beyond the wire rules; the importer does that.
enum Proto {
  struct Model {
    var irVersion: Int?
    var producerName: String
    var producerVersion: String
    var operatorSets: [OperatorSet]
    var metadata: [Entry]
    var functions: [Function]
    var graph: Graph?
  }

  struct OperatorSet {
    var domain: String
    var version: Int?
  }

  struct Entry {
    var key: String
    var value: String
  }

  struct Function {
    var domain: String
    var name: String
  }

  struct Graph {
    var name: String
    var nodes: [Node]
    var initializers: [Tensor]
    var inputs: [ValueInfo]
    var outputs: [ValueInfo]
    var valueInfo: [ValueInfo]
    var sparseInitializerCount: Int
  }

  struct Node {
    var name: String
    var domain: String
    var opType: String
    var inputs: [String]
    var outputs: [String]
    var attributes: [Attribute]
  }

  struct Attribute {
    var name: String
    /// Number of the declared type; nil when it is not given.
    var type: Int?
    var reference: String
    var float: Float?
    var int: Int?
    var string: [UInt8]?
    var tensor: Tensor?
    var floats: [Float]
    var ints: [Int]
    var strings: [[UInt8]]
    /// Names of fields that hold something qconvert has no use for.
    var otherFields: [String]
  }

  struct ValueInfo {
    var name: String
    /// Nil for anything but a tensor.
    var type: TensorType?
  }

  struct TensorType {
    var elementType: Int?
    /// Nil when not even the rank is given.
    var shape: [Dimension]?
  }

  struct Dimension {
    var value: Int?
    var parameter: String?
  }

  struct Tensor {
    var name: String
    var dims: [Int]
    var dataType: Int?
    /// Elements, by the field that holds them; empty lists are left out.
    var sources: [Source]
    var isExternal: Bool
    var external: [Entry]
    var isSegmented: Bool
  }

  /// Where the elements of a tensor are: little-endian bytes, at the width of the field.
  enum Source {
    case raw(ByteSlice)
    /// `float_data`, 4 bytes each.
    case floats(ByteSlice)
    /// `int32_data`, 4 bytes each.
    case int32s(ByteSlice)
    /// `int64_data`, 8 bytes each.
    case int64s(ByteSlice)
    /// `double_data`, 8 bytes each.
    case doubles(ByteSlice)
    /// `uint64_data`, 8 bytes each.
    case uint64s(ByteSlice)
    case strings

    /// Name of the field.
    var name: String {
      switch self {
      case .raw: "raw_data"
      case .floats: "float_data"
      case .int32s: "int32_data"
      case .int64s: "int64_data"
      case .doubles: "double_data"
      case .uint64s: "uint64_data"
      case .strings: "string_data"
      }
    }
  }
}
