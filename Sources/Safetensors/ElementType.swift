import BinaryIO
import GraphIR

/// Names of element types in the header.
extension DType {
  var safetensorsName: String {
    switch self {
    case .float64: "F64"
    case .float32: "F32"
    case .float16: "F16"
    case .bfloat16: "BF16"
    case .int64: "I64"
    case .int32: "I32"
    case .int16: "I16"
    case .int8: "I8"
    case .uint64: "U64"
    case .uint32: "U32"
    case .uint16: "U16"
    case .uint8: "U8"
    case .bool: "BOOL"
    }
  }
}

/// Types the format defines and qconvert has no element type for.
private let foreignTypes = [
  "F4", "F6_E2M3", "F6_E3M2", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64",
]

/// The element type that the header calls `name`.
///
/// - Throws: A refusal (S8), of kind `unsupported`.
func elementType(_ name: String) throws(Refusal) -> DType {
  guard let dtype = DType.allCases.first(where: { $0.safetensorsName == name }) else {
    let known = foreignTypes.contains(name)
    throw Refusal(
      .unsupported,
      at: "",
      rule: "S8",
      "has the element type \(Refusal.quoted(name)), which "
        + (known ? "qconvert does not read" : "the format does not define"),
      remedy: "save the tensor as F32, F16 or BF16"
    )
  }
  return dtype
}
