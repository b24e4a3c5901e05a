public import BinaryIO

/// `x < 0 ? slope·x : x` with a slope that broadcasts to `x`.
public struct Prelu: OpPayload {

  public init() {
  }

  public var name: String { "prelu" }
  public var inputCount: ClosedRange<Int> { 2...2 }
  public var outputCount: ClosedRange<Int> { 1...1 }
  public var attributes: Attributes { Attributes() }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.float(0)
    let slope = try rule.type(1)
    try rule.require(slope.dtype == x.dtype, "operands are \(x) and \(slope), must have one element type")
    let dims = try rule.broadcast(x.dims, slope.dims)
    try rule.require(dims.count == x.rank, "input 1 is \(slope), must broadcast to \(x)")
    return try rule.result(x.dtype, dims)
  }
}
