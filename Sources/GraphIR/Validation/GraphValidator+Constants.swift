internal import BinaryIO

extension GraphValidator {
  /// Constants that hold NaN or infinity, with how many such elements, in order of the values.
  ///
  /// They are legal in a float model; whoever quantizes refuses them (O36). Masks, which are nothing but 0 and -infinity,
  /// are as they should be.
  public static func nonFiniteConstants(_ graph: Graph) -> [(name: String, count: Int)] {
    var result: [(name: String, count: Int)] = []
    for id in graph.valueIDs {
      guard let tensor = graph[id].constant, tensor.dtype.isFloatingPoint else { continue }
      let count = nonFiniteCount(tensor)
      defer { tensor.releasePages() }
      if count > 0, !isMask(tensor) { result.append((graph[id].name, count)) }
    }
    return result
  }

  /// Types and `bool` elements of constants (O33).
  static func checkConstants(_ graph: Graph) throws(Refusal) {
    for id in graph.valueIDs {
      let value = graph[id]
      guard let tensor = value.constant else { continue }
      guard tensor.type == value.type else {
        throw malformed(place(value), "O33", "holds \(tensor.type), but is declared \(value.type)")
      }
      guard tensor.dtype == .bool else { continue }
      let isBoolean = tensor.bytes.withBytes { span in
        (0..<span.byteCount).allSatisfy { (span.byte($0) ?? 0) <= 1 }
      }
      guard isBoolean else {
        throw malformed(place(value), "O33", "is bool, but holds a byte other than 0 and 1")
      }
    }
  }

  private static func isMask(_ tensor: Tensor) -> Bool {
    tensor.floatValues()?.allSatisfy { $0 == 0 || $0 == -.infinity } ?? false
  }

  /// Counts by the exponent bits, which are all ones in NaN and infinity.
  private static func nonFiniteCount(_ tensor: Tensor) -> Int {
    func count<Bits: FixedWidthInteger & BitwiseCopyable>(_ exponent: Bits) -> Int {
      unsafe tensor.withElements(as: Bits.self) { elements in
        var count = 0
        for index in elements.indices where unsafe elements[index] & exponent == exponent {
          count += 1
        }
        return count
      }
    }
    return switch tensor.dtype {
    case .float32: count(0x7F80_0000 as UInt32)
    case .float64: count(0x7FF0_0000_0000_0000 as UInt64)
    case .float16: count(0x7C00 as UInt16)
    case .bfloat16: count(0x7F80 as UInt16)
    case .uint8, .int8, .uint16, .int16, .int32, .int64, .bool, .uint32, .uint64: 0
    }
  }
}
