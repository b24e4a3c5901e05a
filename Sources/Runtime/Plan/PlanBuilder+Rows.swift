internal import BinaryIO
internal import GraphIR
internal import Kernels

extension PlanBuilder {
  /// One operation for all steps of a chain; false where its rows lie elsewhere than next to each other.
  mutating func addRows(_ chain: RowChain) throws(Refusal) -> Bool {
    let sources = [chain.x, chain.addend].compactMap { $0 }
    guard chain.norm != nil || !chain.quantized.isEmpty,
      chain.beginsWithRows || !sources.contains(where: livesChannelsLast)
    else { return false }
    let x = try read(chain.x, .plain)
    let addend = try slot(chain.addend)
    let scale = try parameter(chain.norm?.scale, of: chain)
    let bias = try parameter(chain.norm?.bias, of: chain)
    let sum = chain.sum.map { write($0, .plain) }
    let result = chain.result.map { write($0, .plain) }
    let quantized = chain.quantized.map { write($0, .plain) }
    let columns = shape(chain.x).last ?? 1
    var kernel = RowKernel(rows: self[x].count / columns, columns: columns)
    kernel.epsilon = chain.norm?.op.epsilon ?? 0
    kernel.function = chain.function
    let rows = kernel
    add(
      name(chain),
      reads: [x] + [addend, scale, bias].compactMap { $0 },
      writes: [sum, result].compactMap { $0 } + quantized,
      reusing: sum == nil && result == nil ? nil : 0,
      scratch: rows.scratchBytes,
      joining: chain.steps
    ) { (run) throws(Refusal) in
      var operands = RowKernel.Operands(x: run[x])
      operands.addend = addend.map { run[$0] }
      operands.sum = sum.map { run[$0] }
      operands.scale = scale.map { run[$0] }
      operands.bias = bias.map { run[$0] }
      operands.result = result.map { run[$0] }
      if quantized.count == 3 {
        operands.quantized = RowKernel.Quantized(
          elements: run[quantized[0]],
          scales: run[quantized[1]],
          zeroPoints: run[quantized[2]]
        )
      }
      rows.run(operands, in: run.context)
    }
    return true
  }

  private mutating func slot(_ id: ValueID?) throws(Refusal) -> SlotID? {
    guard let id else { return nil }
    return try read(id, .plain)
  }

  /// A scale or bias with an element per column.
  private mutating func parameter(_ id: ValueID?, of chain: RowChain) throws(Refusal) -> SlotID? {
    let columns = shape(chain.x).last ?? 1
    guard let id, shape(id) == [1], columns > 1, let number = try constants.tensor(id).floatValues()?.first
    else {
      return try slot(id)
    }
    return try constant([Float](repeating: number, count: columns))
  }

  /// For profiles, such as `f32 add, layer norm, quantize rows`.
  private func name(_ chain: RowChain) -> String {
    var stages: [String] = []
    if chain.addend != nil { stages.append("add") }
    if chain.norm != nil { stages.append("layer norm") }
    if chain.function != nil { stages.append("activation") }
    if !chain.quantized.isEmpty { stages.append("quantize rows") }
    return "f32 " + stages.joined(separator: ", ")
  }
}
