internal import BinaryIO
internal import GraphIR

/// Widening to f32 and rounding back.
extension Tensor {
  /// The elements as f32; the tensor itself if they are.
  ///
  /// - Throws: A refusal for f64 and for types that are not floating point.
  func widened() throws(Refusal) -> Tensor {
    switch dtype {
    case .float32: return self
    case .float16, .bfloat16:
      guard let values = floatValues() else { break }
      return try Tensor.floats(values, shape)
    case .float64, .uint8, .int8, .uint16, .int16, .int32, .uint32, .int64, .uint64, .bool: break
    }
    throw Refusal(
      .unsupported,
      at: "",
      rule: "V2",
      "is applied to \(type); it computes in f32, f16 and bf16 only",
      remedy: "cast the operand to f32 in the model"
    )
  }

  /// An f32 tensor rounded to another floating-point type.
  func narrowed(to target: DType) throws(Refusal) -> Tensor {
    switch target {
    case .float32: self
    case .float16: try Tensor.make(.float16, shape, elements(as: Float.self).map { Float16($0) })
    case .bfloat16: try Tensor.make(.bfloat16, shape, elements(as: Float.self).map(BFloat16.bits))
    case .float64, .uint8, .int8, .uint16, .int16, .int32, .uint32, .int64, .uint64, .bool:
      throw Evaluation.refusal("V2", "a result cannot be rounded to \(target.name)")
    }
  }

  /// A new f32 tensor with `f` applied to every element.
  func mapped(_ f: (Float) -> Float) throws(Refusal) -> Tensor {
    try unsafe Tensor.build(.float32, shape, as: Float.self) { (result) throws(Refusal) in
      unsafe withElements(as: Float.self) { source in
        for index in 0..<source.count { unsafe result[index] = f(source[index]) }
      }
    }
  }

  /// A tensor of the given integers, wrapped to `dtype`.
  static func integers(_ dtype: DType, _ shape: [Int], _ values: [Int]) throws(Refusal) -> Tensor {
    switch dtype {
    case .int8: try make(dtype, shape, values.map { Int8(truncatingIfNeeded: $0) })
    case .uint8: try make(dtype, shape, values.map { UInt8(truncatingIfNeeded: $0) })
    case .int16: try make(dtype, shape, values.map { Int16(truncatingIfNeeded: $0) })
    case .uint16: try make(dtype, shape, values.map { UInt16(truncatingIfNeeded: $0) })
    case .int32: try make(dtype, shape, values.map { Int32(truncatingIfNeeded: $0) })
    case .uint32: try make(dtype, shape, values.map { UInt32(truncatingIfNeeded: $0) })
    case .int64: try make(dtype, shape, values.map { Int64($0) })
    case .uint64: try make(dtype, shape, values.map { UInt64(truncatingIfNeeded: $0) })
    case .bool: try make(dtype, shape, values.map { $0 != 0 ? UInt8(1) : 0 })
    case .float32, .float16, .bfloat16, .float64:
      throw Evaluation.refusal("V2", "integers cannot be stored as \(dtype.name)")
    }
  }

  /// The elements as integers.
  ///
  /// - Throws: A refusal for floating-point types and for u64 values above the largest i64.
  func integers() throws(Refusal) -> [Int] {
    guard let values = intValues() else {
      throw Evaluation.refusal("V2", "the elements of \(type) are no 64-bit signed integers")
    }
    return values
  }
}

/// Rounding to bfloat16.
enum BFloat16 {
  /// The upper half of the f32, rounded to nearest even; NaN stays NaN.
  static func bits(_ value: Float) -> UInt16 {
    guard !value.isNaN else { return UInt16(truncatingIfNeeded: value.bitPattern >> 16) | 0x40 }
    let bits = value.bitPattern
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
  }
}
