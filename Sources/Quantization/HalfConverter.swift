package import BinaryIO
package import GraphIR

/// The outcome of storing f32 values as f16.
package struct HalfConversion: Sendable {
  /// The f16 values.
  package let values: Tensor
  /// Values other than 0 that became 0 or subnormal, with fewer than 11 significant bits.
  package let subnormal: Int
}

/// Conversion of weights to f16, checked against its range.
package enum HalfConverter {
  /// The largest finite f16.
  package static let largest: Float = 65_504

  /// Rounds every value to the nearest f16, half to even.
  ///
  /// - Returns: nil when a finite value is too large for f16, so that it would become infinite, or a value is not
  ///   finite; the tensor must then stay float.
  /// - Throws: A refusal when memory runs out.
  package static func convert(
    _ weight: Tensor,
    in allocator: StorageAllocator = .heap
  ) throws(Refusal) -> HalfConversion? {
    precondition(weight.dtype == .float32)
    let (peak, subnormal) = survey(weight)
    guard peak < HalfConverter.overflow.bitPattern else { return nil }
    let values = try unsafe Tensor.build(.float16, weight.shape, as: Float16.self, in: allocator) { (out) in
      unsafe weight.forEachBlock(of: Float.self) { (block, start) in
        for index in block.indices { unsafe out[start + index] = unsafe Float16(block[index]) }
      }
    }
    return HalfConversion(values: values, subnormal: subnormal)
  }

  /// The least magnitude that rounds to infinity: halfway from ``largest`` to 2^16.
  private static let overflow: Float = 65_520

  /// The bits of the largest magnitude, and how many values lose precision or vanish.
  private static func survey(_ weight: Tensor) -> (peak: UInt32, subnormal: Int) {
    let leastNormal = Float(Float16.leastNormalMagnitude).bitPattern
    var peak: UInt32 = 0
    var subnormal = 0
    unsafe weight.forEachBlock(of: UInt32.self) { (bits, _) in
      for index in bits.indices {
        let magnitude = unsafe bits[index] & 0x7FFF_FFFF
        peak = max(peak, magnitude)
        subnormal &+= magnitude != 0 && magnitude < leastNormal ? 1 : 0
      }
    }
    return (peak, subnormal)
  }
}
