internal import BinaryIO
internal import GraphIR

extension Cast {
  /// Float to integer truncates and saturates, NaN becomes 0; integer to integer wraps; anything but 0 is true.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.input(0)
    guard x.dtype != to else { return x }
    if let reals = Casting.reals(x) { return try Casting.tensor(reals, to, x.shape) }
    if x.dtype == .uint64 { return try Casting.tensor(x.elements(as: UInt64.self), to, x.shape) }
    return try Casting.tensor(x.integers(), to, x.shape)
  }
}

/// Conversions between element types.
enum Casting {
  /// The elements of a floating-point tensor; nil for other types.
  static func reals(_ x: Tensor) -> [Double]? {
    guard x.dtype.isFloatingPoint else { return nil }
    if x.dtype == .float64 { return x.elements(as: Double.self) }
    return x.floatValues()?.map(Double.init)
  }

  /// `value` truncated toward zero and saturated; NaN gives 0.
  static func integer<Target: FixedWidthInteger>(_ value: Double, as target: Target.Type = Int.self) -> Target
  {
    guard !value.isNaN else { return 0 }
    let whole = value.rounded(.towardZero)
    if let exact = Target(exactly: whole) { return exact }
    return whole < 0 ? .min : .max
  }

  static func tensor(_ values: [Double], _ dtype: DType, _ shape: [Int]) throws(Refusal) -> Tensor {
    switch dtype {
    case .float32: try .make(dtype, shape, values.map { Float($0) })
    case .float16: try .make(dtype, shape, values.map { Float16($0) })
    case .bfloat16: try .make(dtype, shape, values.map { BFloat16.bits(Float($0)) })
    case .float64: try .make(dtype, shape, values)
    case .int8: try .make(dtype, shape, values.map { integer($0, as: Int8.self) })
    case .uint8: try .make(dtype, shape, values.map { integer($0, as: UInt8.self) })
    case .int16: try .make(dtype, shape, values.map { integer($0, as: Int16.self) })
    case .uint16: try .make(dtype, shape, values.map { integer($0, as: UInt16.self) })
    case .int32: try .make(dtype, shape, values.map { integer($0, as: Int32.self) })
    case .uint32: try .make(dtype, shape, values.map { integer($0, as: UInt32.self) })
    case .int64: try .make(dtype, shape, values.map { integer($0, as: Int64.self) })
    case .uint64: try .make(dtype, shape, values.map { integer($0, as: UInt64.self) })
    case .bool: try .make(dtype, shape, values.map { $0 != 0 ? UInt8(1) : 0 })
    }
  }

  static func tensor<Source: FixedWidthInteger>(
    _ values: [Source],
    _ dtype: DType,
    _ shape: [Int]
  ) throws(Refusal) -> Tensor {
    switch dtype {
    case .float32: try .make(dtype, shape, values.map { Float($0) })
    case .float16: try .make(dtype, shape, values.map { Float16($0) })
    case .bfloat16: try .make(dtype, shape, values.map { BFloat16.bits(Float($0)) })
    case .float64: try .make(dtype, shape, values.map { Double($0) })
    case .int8: try .make(dtype, shape, values.map { Int8(truncatingIfNeeded: $0) })
    case .uint8: try .make(dtype, shape, values.map { UInt8(truncatingIfNeeded: $0) })
    case .int16: try .make(dtype, shape, values.map { Int16(truncatingIfNeeded: $0) })
    case .uint16: try .make(dtype, shape, values.map { UInt16(truncatingIfNeeded: $0) })
    case .int32: try .make(dtype, shape, values.map { Int32(truncatingIfNeeded: $0) })
    case .uint32: try .make(dtype, shape, values.map { UInt32(truncatingIfNeeded: $0) })
    case .int64: try .make(dtype, shape, values.map { Int64(truncatingIfNeeded: $0) })
    case .uint64: try .make(dtype, shape, values.map { UInt64(truncatingIfNeeded: $0) })
    case .bool: try .make(dtype, shape, values.map { $0 != 0 ? UInt8(1) : 0 })
    }
  }
}
