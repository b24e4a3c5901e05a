internal import BinaryIO

/// What `lstm` and `gru` share: the order of the steps, and a state that every step multiplies by a matrix.
///
/// The product of the input with its weights does not depend on the state. It is taken outside, for all steps at
/// once, by a matrix product that adds all biases but those the operator takes as an operand.
public struct Recurrence: Hashable, Sendable {
  /// In which order the steps are taken.
  public enum Direction: String, Hashable, Sendable, CaseIterable {
    case forward
    case reverse
    /// Both, each with weights of its own.
    case bidirectional
  }

  /// The order of the steps.
  public var direction: Direction
  /// The operands of the gates' activations are clamped to `-clip...clip`.
  public var clip: Float
  /// Whether the state is quantized to u8 by its own range, row by row, and dequantized again before the product: a
  /// `dynamic_quantize` with `per_row` and a `dequantize_linear` in every step.
  public var isDynamic: Bool

  public init(direction: Direction = .forward, clip: Float = .infinity, isDynamic: Bool = false) {
    self.direction = direction
    self.clip = clip
    self.isDynamic = isDynamic
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    direction = try a.choice("direction") ?? .forward
    clip = try a.float("clip") ?? .infinity
    isDynamic = try a.bool("dynamic") ?? false
  }

  /// Directions with weights of their own.
  public var directions: Int { direction == .bidirectional ? 2 : 1 }

  /// Whether direction `index` goes from the end to the start.
  public func isReversed(_ index: Int) -> Bool { direction == .reverse || index == 1 }

  func write(to attributes: inout Attributes) {
    attributes.set("direction", direction.rawValue, unless: Direction.forward.rawValue)
    attributes.set("clip", clip, unless: .infinity)
    attributes.set("dynamic", isDynamic, unless: false)
  }

  /// The extents of a recurrent operator's operands.
  struct Extents {
    var dtype: DType
    var length: Dim
    var batch: Dim
    var hidden: Dim
  }

  /// Checks the operands `gates` `[length, batch, directions · gates · hidden]` (input 0) and `r`
  /// `[directions · gates · hidden, hidden]` (input 1).
  func extents(_ rule: TypeRule, gates count: Int) throws(Refusal) -> Extents {
    try rule.require(clip > 0, "clip is \(clip), must be positive")
    let gates = try rule.float(0)
    let r = try rule.float(1)
    try rule.require(gates.rank == 3, "input 0 is \(gates), must be [length, batch, gates]")
    try rule.require(
      r.rank == 2 && r.dtype == gates.dtype,
      "input 1 is \(r), must be a \(gates.dtype.name) matrix"
    )
    let columns = try rule.same(gates.dims[2], r.dims[0], "columns of input 0 and rows of input 1 differ")
    if let rows = columns.value, let hidden = r.dims[1].value {
      try rule.require(
        Checked.product(directions * count, hidden) == rows && hidden > 0,
        "input 1 is \(r), must have \(directions * count) rows per column"
      )
    }
    return Extents(dtype: gates.dtype, length: gates.dims[0], batch: gates.dims[1], hidden: r.dims[1])
  }

  /// Checks optional operands: `lengths` i32 `[batch]`, and others by the shape they must have.
  func check(
    _ rule: TypeRule,
    lengths: Int,
    others: [(index: Int, name: String, dims: [Dim])],
    _ extents: Extents
  ) throws(Refusal) {
    if let type = rule.optional(lengths)?.type {
      try rule.require(type.dtype == .int32 && type.rank == 1, "the lengths are \(type), must be i32 [batch]")
      _ = try rule.same(type.dims[0], extents.batch, "the number of lengths and the batch differ")
    }
    for (index, name, dims) in others {
      guard let type = rule.optional(index)?.type else { continue }
      try rule.require(
        type.dtype == extents.dtype && type.rank == dims.count,
        "the \(name) is \(type), must be \(extents.dtype.name)\(rule.describe(dims))"
      )
      for (own, dim) in zip(type.dims, dims) {
        _ = try rule.same(own, dim, "the \(name) is \(type), must be \(rule.describe(dims))")
      }
    }
  }

  /// The extent of `count` numbers for every direction and hidden unit.
  func perUnit(_ count: Int, _ hidden: Dim) -> Dim {
    hidden.value.flatMap { Checked.product(directions * count, $0) }.map { .known($0) } ?? .unknown
  }

  /// The types of all states `[length, directions, batch, hidden]`, then of `last` tensors with the last state each.
  func results(_ rule: TypeRule, _ extents: Extents, last: Int) throws(Refusal) -> [TensorType] {
    let one: [Dim] = [.known(directions), extents.batch, extents.hidden]
    var types = try rule.result(extents.dtype, [extents.length] + one)
    for _ in 0..<last { types += try rule.result(extents.dtype, one) }
    return types
  }
}
