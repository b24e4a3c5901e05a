package import BinaryIO
package import GraphIR

/// Seeded tensors without meaning.
package enum Noise {
  /// Integers that nothing restricts are of these.
  private static let freeIntegers = 0...15

  /// Extent of a symbolic dimension of inputs that are made up, but the batch and the sides of images.
  static let symbolicExtent = 16
  /// Side of an image that nothing fixes.
  static let freeSide = 64

  /// - Throws: A refusal for inputs of a type that cannot be made up (D10).
  static func check(_ inputs: [ModelInput]) throws(Refusal) {
    for input in inputs where input.type.dtype == .bool || input.type.dtype == .bfloat16 {
      throw Refusal(
        .unsupported,
        at: "input \(input.description)",
        rule: "D10",
        "cannot be made up",
        remedy: "give real samples as .npz or .safetensors"
      )
    }
  }

  /// The generator of one of many samples, which do not depend on each other.
  static func generator(seed: UInt64, sample index: Int) -> SplitMix64 {
    SplitMix64(seed: seed &+ UInt64(index) &* 0x0001_0000_0000_01B3)
  }

  /// A tensor of standard normal floats, integers, or truth values; the same for the same seed.
  ///
  /// - Parameter integers: What integers are chosen from; nil: those below 16.
  /// - Throws: A refusal when there are too many elements (D10), or the type has no arithmetic (D9).
  package static func tensor(
    _ dtype: DType,
    _ shape: [Int],
    integers: ClosedRange<Int>? = nil,
    seed: UInt64
  ) throws(Refusal) -> Tensor {
    var random = SplitMix64(seed: seed)
    return try tensor(dtype, shape, integers, &random)
  }

  static func tensor(
    _ dtype: DType,
    _ shape: [Int],
    _ integers: ClosedRange<Int>? = nil,
    _ random: inout SplitMix64
  ) throws(Refusal) -> Tensor {
    guard let count = Checked.product(shape), count <= Limits.standard.elements else {
      throw Refusal(
        .limit,
        at: "input",
        rule: "D10",
        "is too large to be made up",
        remedy: "give real samples"
      )
    }
    guard dtype.isFloatingPoint else {
      if dtype == .bool {
        return try .make(dtype, shape, (0..<count).map { _ in UInt8(random.next() >> 63) })
      }
      let choice = (integers ?? freeIntegers).clamped(to: 0...Int(Int32.max))
      let values = (0..<count).map { _ in
        Int32(choice.lowerBound + Int(random.next() % UInt64(choice.count)))
      }
      return try Tensor.make(.int32, shape, values).converted(to: dtype)
    }
    let values = (0..<count).map { _ in
      // The sum of twelve uniform numbers has variance 1 and is close to normal.
      (0..<12).reduce(Float(-6)) { sum, _ in sum + random.unit() }
    }
    return try Tensor.make(.float32, shape, values).converted(to: dtype)
  }
}
