public import BinaryIO

/// A matrix of packed integers of 2 to 8 bits, widened by a scale for each block of a row.
///
///     y[n, k] = (u[n, k] − 2^(bits−1)) · scale[n, k / block]
///
/// Inputs: `q` u8 `[N, ⌈K · bits / 8⌉]`, `scale` f16 or f32 `[N, ⌈K / block⌉]`. Result: f32 `[N, K]`, or `[K, N]` with
/// ``isTransposed``; K is ``depth``.
///
/// A row of `q` is a string of bits, the least significant of every byte first: `u[n, k]` is bits `k · bits` to
/// `(k + 1) · bits − 1`. In 4 bits the low nibble thus comes first. Bits behind the last number are 0. The last block
/// of a row may be shorter.
public struct DequantizeBlocks: OpPayload {
  /// Bits of a number, 2 to 8.
  public var bits: Int
  /// Numbers that share a scale: 16, 32, 64, 128 or 256.
  public var block: Int
  /// Numbers of a row.
  public var depth: Int
  /// Whether rows become columns of the result.
  public var isTransposed: Bool

  public init(bits: Int, block: Int, depth: Int, isTransposed: Bool = false) {
    self.bits = bits
    self.block = block
    self.depth = depth
    self.isTransposed = isTransposed
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    bits = try a.required("bits", a.int("bits"))
    block = try a.required("block", a.int("block"))
    depth = try a.required("depth", a.int("depth"))
    isTransposed = try a.bool("transposed") ?? false
  }

  /// The sizes of blocks.
  package static let blocks = [16, 32, 64, 128, 256]

  /// Bytes of a row of `depth` numbers; nil where that overflows.
  package static func rowBytes(bits: Int, depth: Int) -> Int? {
    Checked.product(depth, bits).flatMap { Checked.sum($0, 7) }.map { $0 / 8 }
  }

  public var name: String { "dequantize_blocks" }
  public var inputCount: ClosedRange<Int> { 2...2 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("bits", bits)
    result.set("block", block)
    result.set("depth", depth)
    result.set("transposed", isTransposed, unless: false)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    try rule.require(2...8 ~= bits, "bits is \(bits), must be 2 to 8")
    try rule.require(
      DequantizeBlocks.blocks.contains(block),
      "block is \(block), must be 16, 32, 64, 128 or 256"
    )
    try rule.require(depth >= 1, "depth is \(depth), must be positive")
    let q = try rule.type(0)
    let scale = try rule.type(1)
    try rule.require(q.dtype == .uint8 && q.rank == 2, "input 0 is \(q), must be a u8 matrix")
    try rule.require(
      [.float16, .float32].contains(scale.dtype) && scale.rank == 2,
      "input 1 is \(scale), must be an f16 or f32 matrix"
    )
    let rows = try rule.same(q.dims[0], scale.dims[0], "packed numbers and scales differ in rows")
    let bytes = DequantizeBlocks.rowBytes(bits: bits, depth: depth)
    try rule.require(
      bytes != nil && q.dims[1].value == bytes,
      "a row of \(depth) numbers of \(bits) bits does not take \(q.dims[1]) bytes"
    )
    let count = (depth - 1) / block + 1
    try rule.require(
      scale.dims[1].value == count,
      "a row of \(depth) numbers has \(count) blocks of \(block), not \(scale.dims[1])"
    )
    return try rule.result(.float32, isTransposed ? [.known(depth), rows] : [rows, .known(depth)])
  }
}
