import BinaryIO
import GraphIR

extension NodeImporter {
  /// A `DequantizeLinear` with a scale for each block of a constant matrix, as the IR's packed weights.
  ///
  /// The matrix has 8 bits, or 4 where the file's element type has; its zero point is the middle of the range.
  mutating func dequantizeBlocks(of block: Int, axis: Int) throws(Refusal) {
    let x = try input(0)
    guard let tensor = constant(x), tensor.shape.count == 2, [.int8, .uint8].contains(tensor.dtype),
      tensor.count > 0
    else { throw unsupportedBlocks("takes \(type(x)), must be a constant matrix of 4 or 8 bits") }
    guard DequantizeBlocks.blocks.contains(block), [0, 1, -1, -2].contains(axis) else {
      throw unsupportedBlocks(
        "has block_size \(block) on axis \(axis), must be 16, 32, 64, 128 or 256 on axis 0 or 1"
      )
    }
    let bits = isFourBit(0) ? 4 : 8
    let middle = tensor.dtype == .int8 ? 0 : 1 << (bits - 1)
    let zeroPoints = optional(2).map { constant($0)?.intValues() ?? [] } ?? [0]
    guard zeroPoints.allSatisfy({ $0 == middle }), !zeroPoints.isEmpty else {
      throw unsupportedBlocks("has zero points other than \(middle)")
    }
    let isTransposed = axis == 0 || axis == -2
    let op = DequantizeBlocks(
      bits: bits,
      block: block,
      depth: tensor.shape[isTransposed ? 0 : 1],
      isTransposed: isTransposed
    )
    let q = make(try NodeImporter.packed(tensor, op, middle: middle), "packed")
    try finish(.dequantizeBlocks(op), [q, blockScale(isTransposed)])
  }

  /// The scale `[rows, blocks]`, taken from behind a widening where there is one.
  private func blockScale(_ isTransposed: Bool) throws(Refusal) -> Operand {
    var scale = try input(1)
    if case .cast? = producer(of: scale)?.op, let half = producer(of: scale)?.inputs[0] {
      scale = operand(half)
    }
    guard isTransposed else { return scale }
    return try emit(.transpose(Transpose(perm: [1, 0])), [scale], "scale")
  }

  /// The numbers of a matrix as a string of bits per row, as `dequantize_blocks` has them.
  private static func packed(_ tensor: Tensor, _ op: DequantizeBlocks, middle: Int) throws(Refusal) -> Tensor
  {
    let rows = tensor.shape[op.isTransposed ? 1 : 0]
    let offset = UInt8(1 << (op.bits - 1) - middle)
    let rowBytes = (op.depth * op.bits + 7) / 8
    return try unsafe Tensor.build(.uint8, [rows, rowBytes], as: UInt8.self) { (target) in
      unsafe tensor.bytes.withUnsafeBytes { source in
        for row in 0..<rows {
          for column in 0..<op.depth {
            let number = unsafe source[op.isTransposed ? column * rows + row : row * op.depth + column]
            let place = column * op.bits
            unsafe target[row * rowBytes + place / 8] |= (number &+ offset) << UInt8(place % 8)
          }
        }
      }
    }
  }

  private func unsupportedBlocks(_ problem: String) -> Refusal {
    unsupported(problem, remedy: "quantize the float model with qconvert, by --int4 or --bits")
  }
}
