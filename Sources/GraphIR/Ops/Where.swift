public import BinaryIO

/// `condition ? x : y` with broadcasting; inputs `condition` (bool), `x`, `y`.
public struct Where: OpPayload {

  public init() {
  }

  public var name: String { "where" }
  public var inputCount: ClosedRange<Int> { 3...3 }
  public var outputCount: ClosedRange<Int> { 1...1 }
  public var attributes: Attributes { Attributes() }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let condition = try rule.type(0)
    let x = try rule.type(1)
    let y = try rule.type(2)
    try rule.require(condition.dtype == .bool, "input 0 is \(condition), must be bool")
    try rule.require(x.dtype == y.dtype, "operands are \(x) and \(y), must have one element type")
    return try rule.result(x.dtype, rule.broadcast(condition.dims, rule.broadcast(x.dims, y.dims)))
  }
}
