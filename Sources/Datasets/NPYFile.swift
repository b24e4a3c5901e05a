package import BinaryIO
package import GraphIR

/// NumPy's `.npy` format, versions 1 to 3: one little-endian array in C order.
package enum NPYFile {
  static let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]
  /// Longest header that is read, in bytes.
  private static let headerLimit = 1 << 16

  /// Maps the file at `path` and returns its array, whose bytes stay in the mapping.
  package static func read(file path: String) throws(Refusal) -> Tensor {
    let bytes = try MappedFile.open(path)
    do { return try read(bytes) } catch { throw error.inFile(path) }
  }

  /// The array of a whole `.npy` file; its bytes are a slice of `bytes`.
  package static func read(_ bytes: ByteSlice) throws(Refusal) -> Tensor {
    let (header, dataStart) = try bytes.withBytes { (span) throws(Refusal) in try headerText(span) }
    let (dtype, shape) = try parse(header)
    guard shape.count <= Limits.standard.rank, let count = Checked.product(shape),
      count <= Limits.standard.elements,
      let size = Checked.product(count, dtype.size)
    else { throw invalid("has shape \(shape), beyond what is read") }
    guard let data = bytes.slice(dataStart..<bytes.count), let tensor = Tensor(dtype, shape, bytes: data)
    else {
      throw invalid("holds \(bytes.count - dataStart) bytes of data, its header asks for \(size)")
    }
    return tensor
  }

  private static func headerText(_ span: RawSpan) throws(Refusal) -> (text: String, dataStart: Int) {
    var reader = ByteReader(span)
    for expected in magic {
      guard let byte = reader.read(UInt8.self), byte == expected else {
        throw invalid("does not begin as an .npy array does")
      }
    }
    guard let major = reader.read(UInt8.self), let minor = reader.read(UInt8.self) else {
      throw invalid("ends within its header")
    }
    guard (1...3).contains(major), minor == 0 else {
      throw invalid("has version \(major).\(minor), expected 1.0 to 3.0")
    }
    let length =
      major == 1 ? reader.read(UInt16.self).map { Int($0) } : reader.read(UInt32.self).map { Int($0) }
    guard let length, length <= headerLimit, let text = reader.readText(length) else {
      throw invalid("has a header that is cut off, longer than \(headerLimit) bytes, or no text")
    }
    return (text, reader.offset)
  }

  /// The element type and shape that a header such as `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }` says.
  private static func parse(_ header: String) throws(Refusal) -> (DType, [Int]) {
    var scanner = NPYHeaderScanner(header)
    guard let fields = scanner.scan() else {
      throw invalid("has the header '\(Refusal.printable(header))', which is not one of a plain array")
    }
    guard !fields.isFortranOrder else {
      throw unsupported("is in Fortran order", remedy: "save it with numpy.ascontiguousarray(...)")
    }
    guard let dtype = elementTypes.first(where: { $0.code == fields.type })?.dtype else {
      throw unsupported(
        "has element type '\(Refusal.printable(fields.type))'",
        remedy: "save it as little-endian numbers, such as with .astype('<f4')"
      )
    }
    return (dtype, fields.shape)
  }

  /// NumPy's name of each element type.
  private static let elementTypes: [(code: String, dtype: DType)] = [
    ("<f2", .float16), ("<f4", .float32), ("<f8", .float64), ("|i1", .int8), ("<i2", .int16), ("<i4", .int32),
    ("<i8", .int64), ("|u1", .uint8), ("<u2", .uint16), ("<u4", .uint32), ("<u8", .uint64), ("|b1", .bool),
  ]

  /// What precedes the elements of `tensor` in a version 1 file; its length is a multiple of 64.
  package static func header(for tensor: Tensor) throws(Refusal) -> [UInt8] {
    guard let code = elementTypes.first(where: { $0.dtype == tensor.dtype })?.code else {
      throw unsupported("cannot hold \(tensor.dtype.name)", remedy: "write the values as f32")
    }
    let extents = tensor.shape.map(String.init).joined(separator: ", ") + (tensor.shape.count == 1 ? "," : "")
    var text = "{'descr': '\(code)', 'fortran_order': False, 'shape': (\(extents)), }"
    let prefix = magic.count + 4
    while (prefix + text.utf8.count + 1) % 64 != 0 { text += " " }
    text += "\n"
    let length = UInt16(truncatingIfNeeded: text.utf8.count)
    return magic + [1, 0, UInt8(truncatingIfNeeded: length), UInt8(truncatingIfNeeded: length >> 8)]
      + Array(text.utf8)
  }

  private static func invalid(_ problem: String) -> Refusal {
    Refusal(.invalid, at: "array", rule: "D5", problem, remedy: "save the array again with numpy.save")
  }

  private static func unsupported(_ problem: String, remedy: String) -> Refusal {
    Refusal(.unsupported, at: "array", rule: "D5", problem, remedy: remedy)
  }
}

/// Reads the Python dictionary at the head of an `.npy` file: exactly its three keys, in any order.
struct NPYHeaderScanner {
  struct Fields {
    var type: String
    var isFortranOrder: Bool
    var shape: [Int]
  }

  private var rest: Substring

  init(_ text: String) { rest = text[...] }

  /// The fields, or nil for any other text.
  mutating func scan() -> Fields? {
    var type: String?
    var order: Bool?
    var shape: [Int]?
    guard take("{") else { return nil }
    while !take("}") {
      guard let key = string(), take(":") else { return nil }
      switch key {
      case "descr" where type == nil:
        guard let value = string() else { return nil }
        type = value
      case "fortran_order" where order == nil:
        guard let value = boolean() else { return nil }
        order = value
      case "shape" where shape == nil:
        guard let value = tuple() else { return nil }
        shape = value
      default: return nil
      }
      guard take(",") || rest.first == "}" else { return nil }
    }
    skipBlanks()
    guard rest.isEmpty, let type, let order, let shape else { return nil }
    return Fields(type: type, isFortranOrder: order, shape: shape)
  }

  private mutating func skipBlanks() { rest = rest.drop { $0 == " " || $0 == "\n" } }

  private mutating func take(_ text: String) -> Bool {
    skipBlanks()
    guard rest.hasPrefix(text) else { return false }
    rest.removeFirst(text.count)
    skipBlanks()
    return true
  }

  private mutating func string() -> String? {
    guard rest.first == "'" else { return nil }
    let body = rest.dropFirst()
    guard let end = body.firstIndex(of: "'") else { return nil }
    rest = body[body.index(after: end)...]
    skipBlanks()
    return String(body[..<end])
  }

  private mutating func boolean() -> Bool? {
    if take("True") { return true }
    return take("False") ? false : nil
  }

  private mutating func tuple() -> [Int]? {
    guard take("(") else { return nil }
    var values: [Int] = []
    while !take(")") {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      guard let value = Int(digits), values.count < 64 else { return nil }
      rest = rest.dropFirst(digits.count)
      values.append(value)
      guard take(",") || rest.first == ")" else { return nil }
    }
    return values
  }
}
