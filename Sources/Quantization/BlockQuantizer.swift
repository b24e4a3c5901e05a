package import BinaryIO
package import GraphIR

/// A weight as packed integers with a scale for each block of a row.
package struct BlockQuantizedWeight: Sendable {
  /// u8 `[rows, ⌈depth · bits / 8⌉]`, as ``GraphIR/DequantizeBlocks`` reads it.
  package let values: Tensor
  /// f16 `[rows, ⌈depth / block⌉]`.
  package let scales: Tensor
}

/// Weight-only quantization in 2 to 8 bits by blocks along the depth.
///
/// The integers are `-2^(bits−1)...2^(bits−1)−1`. A scale is an f16 of either sign, so that the largest magnitude of a block
/// can take the end of the range that reaches further. It is searched for: of some that clip the block more and more,
/// and the least-squares scale of the best one's integers, the one with the least squared error.
package struct BlockQuantizer: Sendable {
  package let bits: Int
  package let block: Int

  /// - Parameters:
  ///   - bits: 2 to 8.
  ///   - block: Numbers that share a scale.
  package init(bits: Int, block: Int) {
    precondition(2...8 ~= bits && block > 0)
    self.bits = bits
    self.block = block
  }

  /// The lowest and the highest integer.
  package var limits: ClosedRange<Float> { Float(-(1 << (bits - 1)))...Float((1 << (bits - 1)) - 1) }

  /// Quantizes a matrix, each number to the nearest.
  ///
  /// - Parameters:
  ///   - weight: An f32 matrix, `[rows, depth]`, or `[depth, rows]` when transposed; neither is 0.
  ///   - isTransposed: Whether the rows to quantize are the tensor's columns.
  ///   - allocator: Where the packed integers live.
  /// - Returns: nil where a scale would exceed f16.
  /// - Throws: A refusal (O36) when a value is not finite, or memory runs out.
  package func quantize(
    _ weight: Tensor,
    isTransposed: Bool,
    in allocator: StorageAllocator = .heap
  ) throws(Refusal) -> BlockQuantizedWeight? {
    try quantize(weight, isTransposed: isTransposed, in: allocator) { _, row, scales, integers in
      var start = 0
      for place in scales.indices {
        let end = min(start + block, row.count)
        guard let scale = scale(of: row[start..<end]) else { return false }
        scales[place] = scale
        for index in start..<end { integers[index] = nearest(row[index], Float(scale)) }
        start = end
      }
      return true
    }
  }

  /// Quantizes a matrix row by row.
  ///
  /// - Parameter round: Gets the number of a row and its values, writes its scales and integers; false where it cannot.
  package func quantize(
    _ weight: Tensor,
    isTransposed: Bool,
    in allocator: StorageAllocator,
    _ round: (_ number: Int, _ row: [Float], _ scales: inout [Float16], _ integers: inout [Float]) -> Bool
  ) throws(Refusal) -> BlockQuantizedWeight? {
    precondition(weight.dtype == .float32 && weight.shape.count == 2)
    let (rows, depth) =
      isTransposed ? (weight.shape[1], weight.shape[0]) : (weight.shape[0], weight.shape[1])
    guard rows > 0, depth > 0, let rowBytes = DequantizeBlocks.rowBytes(bits: bits, depth: depth) else {
      return nil
    }
    let blocks = (depth - 1) / block + 1
    var allScales: [Float16] = []
    var isFinite = true
    var fits = true
    let values = try unsafe Tensor.build(.uint8, [rows, rowBytes], as: UInt8.self, in: allocator) { (out) in
      unsafe weight.withElements(as: Float.self) { all in
        var row = [Float](repeating: 0, count: depth)
        var integers = row
        var scales = [Float16](repeating: 1, count: blocks)
        for number in 0..<rows {
          for k in 0..<depth {
            row[k] = unsafe all[isTransposed ? k &* rows &+ number : number &* depth &+ k]
          }
          isFinite = isFinite && row.allSatisfy(\.isFinite)
          guard isFinite, fits, round(number, row, &scales, &integers) else {
            fits = false
            return
          }
          allScales += scales
          unsafe pack(integers, into: UnsafeMutableBufferPointer(rebasing: out[(number * rowBytes)...]))
        }
      }
    }
    guard isFinite else {
      throw Refusal(
        .invalid,
        at: "weight",
        rule: "O36",
        "the weight holds NaN or infinity",
        remedy: "repair the weight, or convert with --fp32"
      )
    }
    guard fits else { return nil }
    return BlockQuantizedWeight(values: values, scales: try .make(.float16, [rows, blocks], allScales))
  }

  /// The scale of a block that makes the least squared error; 1 for zeros, nil where f16 has none.
  ///
  /// - Parameters:
  ///   - values: The block.
  ///   - importance: What the square of each error counts; nil: all the same.
  package func scale(of values: ArraySlice<Float>, importance: ArraySlice<Float>? = nil) -> Float16? {
    let values = BlockValues(values, importance)
    var peak: Float = 0
    for value in values.values { peak = max(peak, abs(value)) }
    guard peak > 0 else { return 1 }
    let half = -limits.lowerBound
    var best: Float16?
    var least = Float.infinity
    func consider(_ scale: Float) {
      let rounded = Float16(scale)
      guard rounded.isFinite, rounded != 0 else { return }
      let error = squaredError(values, Float(rounded))
      guard error < least else { return }
      (best, least) = (rounded, error)
    }
    for step in 0...BlockQuantizer.steps {
      let divisor = half - 1 + (0.3 * half + 1) * Float(step) / Float(BlockQuantizer.steps)
      consider(peak / divisor)
      consider(-peak / divisor)
    }
    consider(peak / half)
    consider(-peak / half)
    if let best { consider(fitted(values, Float(best))) }
    return best ?? (peak < 1 ? Float16.leastNonzeroMagnitude : nil)
  }

  /// Scales that are tried between no clipping and the most.
  private static let steps = 15

  /// The integer nearest to `value / scale`, half to even.
  package func nearest(_ value: Float, _ scale: Float) -> Float {
    let quotient = value / scale
    let low = quotient > limits.lowerBound ? quotient : limits.lowerBound
    let clamped = low < limits.upperBound ? low : limits.upperBound
    return (clamped + 12_582_912) - 12_582_912
  }

  private func squaredError(_ block: BlockValues, _ scale: Float) -> Float {
    var sum: Float = 0
    guard let importance = block.importance else {
      for value in block.values {
        let error = value - nearest(value, scale) * scale
        sum += error * error
      }
      return sum
    }
    for (value, weight) in zip(block.values, importance) {
      let error = value - nearest(value, scale) * scale
      sum += error * error * weight
    }
    return sum
  }

  /// The scale at which the integers that `scale` gives come nearest to the values.
  private func fitted(_ block: BlockValues, _ scale: Float) -> Float {
    var (product, square) = (Float(0), Float(0))
    for (offset, value) in block.values.enumerated() {
      let weight = block.importance.map { $0[$0.startIndex + offset] } ?? 1
      let integer = nearest(value, scale)
      product += value * integer * weight
      square += integer * integer * weight
    }
    return square > 0 ? product / square : scale
  }

  /// Writes integers as a string of bits, the least significant first; the bytes arrive zeroed.
  private func pack(_ integers: [Float], into bytes: UnsafeMutableBufferPointer<UInt8>) {
    var place = 0
    for integer in integers {
      let number = Int(integer - limits.lowerBound)
      let (byte, shift) = place.quotientAndRemainder(dividingBy: 8)
      unsafe bytes[byte] |= UInt8(truncatingIfNeeded: number << shift)
      if shift + bits > 8 { unsafe bytes[byte + 1] |= UInt8(truncatingIfNeeded: number >> (8 - shift)) }
      place += bits
    }
  }
}

/// The values of a block, and what the square of each error counts.
private struct BlockValues {
  let values: ArraySlice<Float>
  let importance: ArraySlice<Float>?

  init(_ values: ArraySlice<Float>, _ importance: ArraySlice<Float>?) {
    self.values = values
    self.importance = importance
  }
}
