/// The elements of constants as text, exactly.
///
/// Integers are decimal, `bool` is 0 or 1. Reals are the shortest decimals that give the same bits; `inf`, `-inf`
/// and `nan` are spelled so, and any other NaN shows its bits, as in `nan(0x7fc00001)`.
enum ElementText {
  /// One text per element.
  static func texts(of tensor: Tensor) -> [String] {
    switch tensor.dtype {
    case .int8: tensor.elements(as: Int8.self).map(\.description)
    case .uint8, .bool: tensor.elements(as: UInt8.self).map(\.description)
    case .int16: tensor.elements(as: Int16.self).map(\.description)
    case .uint16: tensor.elements(as: UInt16.self).map(\.description)
    case .int32: tensor.elements(as: Int32.self).map(\.description)
    case .uint32: tensor.elements(as: UInt32.self).map(\.description)
    case .int64: tensor.elements(as: Int64.self).map(\.description)
    case .uint64: tensor.elements(as: UInt64.self).map(\.description)
    case .float32:
      tensor.elements(as: UInt32.self).map { real(Float(bitPattern: $0), bits: UInt64($0), .float32) }
    case .float64: tensor.elements(as: UInt64.self).map { real(Double(bitPattern: $0), bits: $0, .float64) }
    case .float16:
      tensor.elements(as: UInt16.self).map { real(Float16(bitPattern: $0), bits: UInt64($0), .float16) }
    case .bfloat16:
      tensor.elements(as: UInt16.self).map {
        real(Float(bitPattern: UInt32($0) << 16), bits: UInt64($0), .bfloat16)
      }
    }
  }

  private static func real(
    _ value: some BinaryFloatingPoint & CustomStringConvertible,
    bits: UInt64,
    _ dtype: DType
  ) -> String {
    guard value.isNaN else { return GraphPrinter.trimmed(value.description) }
    return bits == quietNaN(dtype) ? "nan" : "nan(0x\(String(bits, radix: 16)))"
  }

  /// The bits of the NaN that is written `nan`; nil for types without one.
  static func quietNaN(_ dtype: DType) -> UInt64? {
    switch dtype {
    case .float32: 0x7FC0_0000
    case .float64: 0x7FF8_0000_0000_0000
    case .float16: 0x7E00
    case .bfloat16: 0x7FC0
    case .uint8, .int8, .uint16, .int16, .int32, .int64, .bool, .uint32, .uint64: nil
    }
  }

  /// The bits, in the low bytes, of the element that `text` spells; nil if it spells none of this type.
  ///
  /// A decimal that overflows a real type is none; one between two reals is rounded to the nearer one.
  static func bits(_ text: Substring, _ dtype: DType) -> UInt64? {
    switch dtype {
    case .int8: Int8(text).map { UInt64(UInt8(bitPattern: $0)) }
    case .uint8: UInt8(text).map(UInt64.init)
    case .int16: Int16(text).map { UInt64(UInt16(bitPattern: $0)) }
    case .uint16: UInt16(text).map(UInt64.init)
    case .int32: Int32(text).map { UInt64(UInt32(bitPattern: $0)) }
    case .uint32: UInt32(text).map(UInt64.init)
    case .int64: Int64(text).map { UInt64(bitPattern: $0) }
    case .uint64: UInt64(text)
    case .bool: text == "0" ? 0 : text == "1" ? 1 : nil
    case .float32: finite(Float(text)).map { UInt64($0.bitPattern) }
    case .float64: finite(Double(text)).map(\.bitPattern)
    case .float16: finite(Float16(text)).map { UInt64($0.bitPattern) }
    case .bfloat16: finite(Float(text)).flatMap(bfloat16Bits)
    }
  }

  /// The bits of `inf` or `-inf`; nil for types without infinity.
  static func infinityBits(negative: Bool, _ dtype: DType) -> UInt64? {
    switch dtype {
    case .float32: UInt64((negative ? -Float.infinity : .infinity).bitPattern)
    case .float64: (negative ? -Double.infinity : .infinity).bitPattern
    case .float16: UInt64((negative ? -Float16.infinity : .infinity).bitPattern)
    case .bfloat16: negative ? 0xFF80 : 0x7F80
    case .uint8, .int8, .uint16, .int16, .int32, .int64, .bool, .uint32, .uint64: nil
    }
  }

  /// Whether `bits` are those of a NaN of this type.
  static func isNaN(_ bits: UInt64, _ dtype: DType) -> Bool {
    switch dtype {
    case .float32: UInt32(exactly: bits).map { Float(bitPattern: $0).isNaN } ?? false
    case .float64: Double(bitPattern: bits).isNaN
    case .float16: UInt16(exactly: bits).map { Float16(bitPattern: $0).isNaN } ?? false
    case .bfloat16: UInt16(exactly: bits).map { Float(bitPattern: UInt32($0) << 16).isNaN } ?? false
    case .uint8, .int8, .uint16, .int16, .int32, .int64, .bool, .uint32, .uint64: false
    }
  }

  private static func finite<Real: BinaryFloatingPoint>(_ value: Real?) -> Real? {
    guard let value, value.isFinite else { return nil }
    return value
  }

  /// The nearest bfloat16, ties to even; nil if that is infinite.
  private static func bfloat16Bits(_ value: Float) -> UInt64? {
    let bits = value.bitPattern
    let rounded = (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16
    return rounded & 0x7F80 == 0x7F80 ? nil : UInt64(rounded)
  }
}
