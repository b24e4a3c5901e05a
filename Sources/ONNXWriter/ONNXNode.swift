import BinaryIO
import GraphIR

/// A node of an ONNX graph.
struct ONNXNode {
  let opType: String
  var name: String
  /// Names of values; an empty one is an absent operand.
  let inputs: [String]
  let outputs: [String]
  let attributes: Attributes
}

/// An initializer of an ONNX graph.
struct ONNXConstant {
  /// ONNX's number of 4-bit integers, two in a byte, the low nibble first.
  static let int4 = 22

  let name: String
  /// ONNX's number of the element type; ``DType`` uses the same ones.
  let elementType: Int
  let dims: [Int]
  let bytes: ByteSlice
}

extension ONNXConstant {
  init(_ name: String, _ tensor: Tensor) {
    self.init(name: name, elementType: Int(tensor.dtype.rawValue), dims: tensor.shape, bytes: tensor.bytes)
  }
}
