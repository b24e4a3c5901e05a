package import GraphIR

/// A small seeded generator, the same on every machine.
package struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// An integer of the range, both ends included.
  package mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

  package mutating func bool() -> Bool { Bool.random(using: &self) }

  /// A real of the range.
  package mutating func float(_ range: ClosedRange<Float> = -1...1) -> Float {
    Float.random(in: range, using: &self)
  }

  /// A sample of the standard normal distribution, by the sum of twelve uniform ones (so at most 6 off).
  package mutating func normal() -> Float {
    (0..<12).reduce(Float(-6)) { sum, _ in sum + float(0...1) }
  }

  /// An f32 tensor of uniform reals.
  package mutating func floats(_ shape: [Int], in range: ClosedRange<Float> = -1...1) throws -> Tensor {
    try .make(.float32, shape, (0..<shape.reduce(1, *)).map { _ in float(range) })
  }

  /// A tensor of integers; the range must fit the type, which must be an integer type or `bool`.
  package mutating func ints(_ dtype: DType, _ shape: [Int], in range: ClosedRange<Int>) throws -> Tensor {
    let values = (0..<shape.reduce(1, *)).map { _ in int(range) }
    return switch dtype {
    case .int8: try .make(dtype, shape, values.map(Int8.init))
    case .uint8, .bool: try .make(dtype, shape, values.map(UInt8.init))
    case .int16: try .make(dtype, shape, values.map(Int16.init))
    case .uint16: try .make(dtype, shape, values.map(UInt16.init))
    case .int32: try .make(dtype, shape, values.map(Int32.init))
    case .uint32: try .make(dtype, shape, values.map(UInt32.init))
    case .int64: try .make(dtype, shape, values.map(Int64.init))
    case .uint64: try .make(dtype, shape, values.map(UInt64.init))
    case .float32, .float16, .float64, .bfloat16: preconditionFailure("\(dtype) is no integer type")
    }
  }

  /// A tensor of any bits, for tests that only move bytes; `bool` stays 0 or 1.
  package mutating func bits(_ dtype: DType, _ shape: [Int]) throws -> Tensor {
    let count = shape.reduce(1, *)
    return switch dtype.size {
    case 1:
      try .make(
        dtype,
        shape,
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) & (dtype == .bool ? 1 : 255) }
      )
    case 2: try .make(dtype, shape, (0..<count).map { _ in UInt16(truncatingIfNeeded: next()) })
    case 4: try .make(dtype, shape, (0..<count).map { _ in UInt32(truncatingIfNeeded: next()) })
    default: try .make(dtype, shape, (0..<count).map { _ in next() })
    }
  }
}
