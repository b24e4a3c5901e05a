package import BinaryIO
package import GraphIR

extension Reference {
  /// The results of one step.
  ///
  /// - Parameters:
  ///   - step: The step.
  ///   - inputs: Its operands, as ``Step/Kind`` lists them.
  ///   - memoryLimit: Most bytes of the results of a float operator together (L12).
  /// - Throws: The refusal of a type rule, of an operand's value, or of a limit; the place is empty.
  package static func run(
    _ step: Step,
    inputs: [Tensor?],
    memoryLimit: Int = .max
  ) throws(Refusal) -> [Tensor] {
    let e = Evaluation(inputs: inputs, types: [])
    switch step.kind {
    case .integerConv(let kind): return [try kind.run(e.input(0))]
    case .integerConvTranspose(let kind): return [try kind.run(e.input(0))]
    case .integerGemm(let kind): return [try kind.run(e.input(0))]
    case .dynamicConv(let kind):
      let (scale, zeroPoint) = try dynamicParameters(e)
      return [try kind.run(e.input(0), scale: scale, zeroPoint: zeroPoint)]
    case .dynamicGemm(let kind):
      return [try kind.run(e.input(0), scales: e.input(1), zeroPoints: e.input(2))]
    case .dynamicRecurrence(let kind): return try kind.run(inputs)
    case .integerAdd(let kind): return [try kind.run(e.input(0), e.input(1))]
    case .integerMul(let kind): return [try kind.run(e.input(0), e.input(1))]
    case .integerConcat(let kind):
      var operands: [Tensor] = []
      for index in inputs.indices { operands.append(try e.input(index)) }
      return [try kind.run(operands)]
    case .integerAveragePool(let kind): return [try kind.run(e.input(0))]
    case .integerGlobalPool(let kind): return [try kind.run(e.input(0))]
    case .integerMaxPool(let kind): return [try kind.run(e.input(0))]
    case .table(let kind): return [try e.input(0).looked(up: kind.entries)]
    case .passThrough(let kind): return try kind.run(inputs)
    case .quantize(let stub): return [try quantize(e.real(0), stub)]
    case .dequantize(let stub): return [try dequantize(e.input(0), stub)]
    case .dynamicQuantize(let perRow):
      let op = Op.dynamicQuantize(DynamicQuantize(perRow: perRow))
      return try evaluate(op: op, inputs: inputs, memoryLimit: memoryLimit)
    case .float(let op): return try evaluate(op: op, inputs: inputs, memoryLimit: memoryLimit)
    }
  }

  private static func dynamicParameters(_ e: Evaluation) throws(Refusal) -> (Float, UInt8) {
    guard let scale = try e.input(1).elements(as: Float.self).first,
      let zeroPoint = try e.input(2).elements(as: UInt8.self).first
    else { throw Evaluation.refusal("K3", "the dynamic parameters are empty") }
    return (scale, zeroPoint)
  }
}
