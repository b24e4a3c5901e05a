import BinaryIO
import GraphIR

/// Turns the tensors of a file into constants (O30-O34).
struct TensorDecoder {
  let limits: Limits
  let externalData: ExternalData

  /// The constant that `proto` describes.
  ///
  /// Payloads that stayed in a file are not copied.
  ///
  /// - Parameter widensFourBits: Whether numbers of 4 bits become numbers of 8 instead of a refusal.
  /// - Throws: A refusal with the tensor's name.
  func decode(_ proto: Proto.Tensor, widensFourBits: Bool = false) throws(Refusal) -> Tensor {
    do {
      guard widensFourBits, let dtype = TensorDecoder.fourBit(proto.dataType) else {
        return try decodeUnnamed(proto)
      }
      return try widened(proto, dtype)
    } catch {
      throw error.at("tensor \(Refusal.quoted(proto.name))")
    }
  }

  private func decodeUnnamed(_ proto: Proto.Tensor) throws(Refusal) -> Tensor {
    let dtype = try TensorDecoder.dtype(proto.dataType)
    let count = try elementCount(proto.dims)
    if proto.isSegmented { throw invalid("O34", "is segmented, which no exporter writes") }
    let bytes = try self.bytes(of: proto, dtype, count)
    guard let tensor = Tensor(dtype, proto.dims, bytes: bytes) else {
      throw invalid("O33", "has \(bytes.count) bytes for shape \(proto.dims) of \(dtype.name)")
    }
    if dtype == .bool { try checkBool(tensor) }
    return tensor
  }

  /// The type of 8 bits that numbers of 4 bits fit into, for ONNX's number of uint4 or int4; nil for others.
  static func fourBit(_ number: Int?) -> DType? {
    switch number {
    case 21: .uint8
    case 22: .int8
    default: nil
    }
  }

  /// A tensor of 4 bits, two numbers in a byte, the low nibble first.
  private func widened(_ proto: Proto.Tensor, _ dtype: DType) throws(Refusal) -> Tensor {
    let count = try elementCount(proto.dims)
    if proto.isSegmented { throw invalid("O34", "is segmented, which no exporter writes") }
    let packed = try bytes(of: proto, .uint8, count / 2 + count % 2)
    return try unsafe Tensor.build(dtype, proto.dims, as: UInt8.self) { (target) in
      unsafe packed.withUnsafeBytes { source in
        for index in 0..<count {
          let nibble = unsafe (source[index / 2] >> UInt8(index % 2 * 4)) & 0xF
          unsafe target[index] = dtype == .int8 && nibble > 7 ? nibble | 0xF0 : nibble
        }
      }
    }
  }

  /// The element type with ONNX's number; ``DType`` uses the same numbers.
  static func dtype(_ number: Int?) throws(Refusal) -> DType {
    if let dtype = number.flatMap(UInt8.init(exactly:)).flatMap(DType.init(rawValue:)) { return dtype }
    let unsupported = [
      8: "strings", 14: "complex numbers", 15: "complex numbers", 17: "float8", 18: "float8", 19: "float8",
      20: "float8", 21: "uint4", 22: "int4", 23: "float4", 24: "float8", 25: "uint2", 26: "int2",
    ]
    guard let number, let name = unsupported[number] else {
      throw Refusal(
        .invalid,
        at: "",
        rule: "O30",
        number.map { "has element type \($0), which does not exist" } ?? "has no element type",
        remedy: "export the model again"
      )
    }
    throw Refusal(
      .unsupported,
      at: "",
      rule: "O30",
      "holds \(name), which qconvert does not read",
      remedy: "export the model with float, float16, bfloat16 or integer tensors"
    )
  }

  private func elementCount(_ dims: [Int]) throws(Refusal) -> Int {
    guard dims.count <= limits.rank else {
      throw limit("L1", "has \(dims.count) axes, at most \(limits.rank) are accepted")
    }
    for dim in dims {
      if dim < 0 { throw invalid("O31", "has an extent of \(dim)") }
      if dim > limits.dimension { throw limit("L2", "has an extent of \(dim)") }
    }
    // The non-zero extents count, so that a zero does not hide a product that overflows.
    guard let full = Checked.product(dims.filter { $0 != 0 }), full <= limits.elements else {
      throw limit("L3", "has shape \(dims), more elements than are accepted")
    }
    return dims.contains(0) ? 0 : full
  }

  private func bytes(of proto: Proto.Tensor, _ dtype: DType, _ count: Int) throws(Refusal) -> ByteSlice {
    let expected = count * dtype.size
    if proto.isExternal {
      guard proto.sources.isEmpty else {
        throw invalid("O32", "has external data and '\(proto.sources[0].name)'")
      }
      return try externalData.bytes(proto.external, expected: expected)
    }
    guard proto.external.isEmpty else {
      throw invalid("O32", "names external data without a data location that says so")
    }
    guard proto.sources.count <= 1 else {
      let names = proto.sources.map(\.name).joined(separator: "' and '")
      throw invalid("O32", "has '\(names)', must have one of them")
    }
    guard let source = proto.sources.first else {
      guard count == 0 else { throw invalid("O32", "has no data for its \(count) elements") }
      return try unsafe ByteSlice.build(count: 0) { _ in }
    }
    return try bytes(of: source, dtype, count, expected)
  }

  private func bytes(
    of source: Proto.Source,
    _ dtype: DType,
    _ count: Int,
    _ expected: Int
  ) throws(Refusal) -> ByteSlice {
    switch (source, dtype) {
    case (.raw(let bytes), _):
      guard bytes.count == expected else {
        throw invalid("O33", "has \(bytes.count) bytes of raw data, its shape needs \(expected)")
      }
      return bytes
    case (.floats(let bytes), .float32), (.int32s(let bytes), .int32), (.int64s(let bytes), .int64),
      (.doubles(let bytes), .float64), (.uint64s(let bytes), .uint64):
      try checkCount(bytes.count / dtype.size, count, source)
      return bytes
    case (.int32s(let bytes), .int8): return try narrow(bytes, Int32.self, Int8.self, count, source)
    case (.int32s(let bytes), .uint8): return try narrow(bytes, Int32.self, UInt8.self, count, source)
    case (.int32s(let bytes), .int16): return try narrow(bytes, Int32.self, Int16.self, count, source)
    case (.int32s(let bytes), .uint16), (.int32s(let bytes), .float16), (.int32s(let bytes), .bfloat16):
      return try narrow(bytes, Int32.self, UInt16.self, count, source)
    case (.int32s(let bytes), .bool): return try narrow(bytes, Int32.self, UInt8.self, count, source)
    case (.uint64s(let bytes), .uint32): return try narrow(bytes, UInt64.self, UInt32.self, count, source)
    case (.floats, _), (.int32s, _), (.int64s, _), (.doubles, _), (.uint64s, _), (.strings, _):
      throw invalid("O32", "has '\(source.name)', which does not hold elements of \(dtype.name)")
    }
  }

  private func checkCount(_ given: Int, _ count: Int, _ source: Proto.Source) throws(Refusal) {
    guard given == count else {
      throw invalid("O33", "has \(given) elements in '\(source.name)', its shape needs \(count)")
    }
  }

  /// The elements at the width of their own type; a value outside of its range is refused, not wrapped.
  private func narrow<Wide: FixedWidthInteger & BitwiseCopyable, Narrow: FixedWidthInteger & BitwiseCopyable>(
    _ bytes: ByteSlice,
    _ wide: Wide.Type,
    _ narrow: Narrow.Type,
    _ count: Int,
    _ source: Proto.Source
  ) throws(Refusal) -> ByteSlice {
    try checkCount(bytes.count / MemoryLayout<Wide>.size, count, source)
    return try unsafe ByteSlice.build(count: count * MemoryLayout<Narrow>.size) { (target) throws(Refusal) in
      try unsafe bytes.withUnsafeBytes { (elements) throws(Refusal) in
        for index in 0..<count {
          let value = unsafe elements.loadUnaligned(
            fromByteOffset: index * MemoryLayout<Wide>.size,
            as: Wide.self
          )
          guard let exact = Narrow(exactly: value) else {
            throw invalid("O33", "has the value \(value) in '\(source.name)', outside of its element type")
          }
          unsafe target.storeBytes(
            of: exact,
            toByteOffset: index * MemoryLayout<Narrow>.size,
            as: Narrow.self
          )
        }
      }
    }
  }

  private func checkBool(_ tensor: Tensor) throws(Refusal) {
    let wrong = unsafe tensor.bytes.withUnsafeBytes { unsafe $0.first { $0 > 1 } }
    if let wrong { throw invalid("O33", "has the bool \(wrong), must be 0 or 1") }
  }

  private func invalid(_ rule: String, _ problem: String) -> Refusal {
    Refusal(.invalid, at: "", rule: rule, problem, remedy: "export the model again")
  }

  private func limit(_ rule: String, _ problem: String) -> Refusal {
    Refusal(.limit, at: "", rule: rule, problem, remedy: "check the dimensions in the model's exporter")
  }
}
