public import BinaryIO

/// Permuted axes: output axis `i` is input axis `perm[i]`.
public struct Transpose: OpPayload {
  /// The permutation.
  public var perm: [Int]

  public init(perm: [Int]) {
    self.perm = perm
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    perm = try a.required("perm", a.ints("perm"))
  }

  public var name: String { "transpose" }
  public var inputCount: ClosedRange<Int> { 1...1 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("perm", perm)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    try rule.require(perm.sorted() == Array(0..<x.rank), "perm \(perm) is no permutation of the axes of \(x)")
    return try rule.result(x.dtype, perm.map { x.dims[$0] })
  }
}
