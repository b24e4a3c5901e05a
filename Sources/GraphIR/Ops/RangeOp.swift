public import BinaryIO

/// `start, start + delta, ...` below `limit`; inputs are the three scalars.
public struct RangeOp: OpPayload {

  public init() {
  }

  public var name: String { "range" }
  public var inputCount: ClosedRange<Int> { 3...3 }
  public var outputCount: ClosedRange<Int> { 1...1 }
  public var attributes: Attributes { Attributes() }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let start = try rule.operand(0)
    let limit = try rule.operand(1)
    let delta = try rule.operand(2)
    for operand in [start, limit, delta] {
      try rule.require(
        operand.type.rank == 0 && operand.type.dtype == start.type.dtype && operand.type.dtype != .bool,
        "an operand is \(operand.type), must be a scalar number"
      )
    }
    if let symbol = countSymbol(start, limit, delta) { return try rule.result(start.type.dtype, [symbol]) }
    let known = [start, limit, delta].map { $0.constant?.intValues()?.first ?? $0.shapeValue?.first?.value }
    guard let first = known[0], let last = known[1], let step = known[2] else {
      return try rule.result(start.type.dtype, [.unknown])
    }
    try rule.require(step != 0 && step != .min, "delta is \(step)")
    let (distance, overflow) = last.subtractingReportingOverflow(first)
    try rule.require(!overflow, "the range is too long")
    let isEmpty = distance == 0 || (distance > 0) != (step > 0)
    return try rule.result(
      start.type.dtype,
      [.known(isEmpty ? 0 : Int((distance.magnitude + step.magnitude - 1) / step.magnitude))]
    )
  }

  /// The symbol that counts the elements of `0, 1, ... symbol − 1`.
  private func countSymbol(_ start: OperandInfo, _ limit: OperandInfo, _ delta: OperandInfo) -> Dim? {
    func number(_ operand: OperandInfo) -> Int? {
      operand.constant?.intValues()?.first ?? operand.shapeValue?.first?.value
    }
    guard number(start) == 0, number(delta) == 1, case .symbol? = limit.shapeValue?.first else { return nil }
    return limit.shapeValue?.first
  }
}
