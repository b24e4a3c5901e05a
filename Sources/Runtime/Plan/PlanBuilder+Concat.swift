internal import BinaryIO
internal import GraphIR
internal import Kernels

/// Where an operation puts a value.
struct Place {
  let slot: SlotID
  /// The value's channels of a concatenation in the slot; nil where it has the slot to itself.
  let pixels: PixelPlace?

  /// For profiles, behind the name of a kernel.
  var suffix: String { pixels == nil ? "" : " into concat" }
}

extension PlanBuilder {
  /// A slot of its own for a value, or the place in a concatenation along channels that alone reads it.
  mutating func place(_ id: ValueID, _ wanted: Layout) -> Place {
    guard joinsSteps, wanted == .channelsLast, let (concatenation, firstChannel) = concatenation(of: id)
    else {
      return Place(slot: write(id, wanted), pixels: nil)
    }
    let size = dtype(id).size
    let pixels = PixelPlace(start: firstChannel * size, stride: shape(concatenation)[1] * size)
    return Place(slot: write(id, into: concatenation), pixels: pixels)
  }

  /// The concatenation whose channels, from the given one on, are the value's as they are; nil if something else reads
  /// the value, too.
  private func concatenation(of id: ValueID) -> (result: ValueID, firstChannel: Int)? {
    guard let index = uses.onlyReader(of: id), let result = program.steps[index].outputs.first,
      layout(of: result, wanted: .channelsLast) == .channelsLast
    else { return nil }
    let operands = program.steps[index].inputs.compactMap(\.self)
    guard let position = operands.firstIndex(of: id) else { return nil }
    switch program.steps[index].kind {
    case .integerConcat(let kind):
      guard kind.axis == 1, kind.tables.isEmpty || kind.tables[position] == nil else { return nil }
    case .float(.concat(let op)):
      guard op.axis == 1 || op.axis == 1 - shape(result).count else { return nil }
    default: return nil
    }
    return (result, operands[..<position].reduce(0) { $0 + shape($1)[1] })
  }

  /// Operands joined along an axis; what operations have put into its place is not copied.
  ///
  /// - Parameters:
  ///   - axis: Counted from the front.
  ///   - tables: Per operand, what brings its bytes to the output's parameters; none if empty.
  ///   - step: The concatenation.
  mutating func addConcat(axis: Int, tables: [[UInt8]?], _ step: Step) throws(Refusal) -> Bool {
    guard let y = step.outputs.first, axis < shape(y).count else { return false }
    let operands = step.inputs.compactMap { $0 }
    let wanted: Layout =
      operands.contains { livesChannelsLast($0) || placed.contains($0) } ? .channelsLast : .plain
    let target = write(y, wanted)
    let physicalAxis = self[target].physicalAxis(axis)
    let size = dtype(y).size
    let physical = self[target].physicalShape
    let rows = physical[..<physicalAxis].reduce(1, *)
    let stride = physical[physicalAxis...].reduce(1, *) * size
    var start = 0
    var parts: [(source: SlotID, bytes: Int, start: Int, table: [UInt8]?)] = []
    for (index, operand) in operands.enumerated() {
      let bytes = rows == 0 ? 0 : shape(operand).reduce(size, *) / rows
      if !placed.contains(operand) {
        let source = try read(operand, self[target].layout)
        parts.append((source, bytes, start, index < tables.count ? tables[index] : nil))
      }
      start += bytes
    }
    guard !parts.isEmpty else { return true }
    add("concat", reads: parts.map(\.source), writes: [target]) { (run) throws(Refusal) in
      for part in parts {
        ElementwiseKernel.copyRows(
          rows: rows,
          bytes: part.bytes,
          run[part.source],
          run[target],
          start: part.start,
          stride: stride,
          table: part.table
        )
      }
    }
    return true
  }
}
