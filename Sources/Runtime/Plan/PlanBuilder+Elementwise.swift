internal import BinaryIO
internal import GraphIR
internal import Kernels

extension PlanBuilder {
  // Operators of one operand

  mutating func addTable(_ entries: [UInt8], _ step: Step) throws(Refusal) -> Bool {
    try addElementwise("u8 table", step) { (count, x, y, context) in
      ElementwiseKernel.table(entries, count: count, x, y, in: context)
    }
  }

  mutating func addQuantize(_ stub: Stub, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], dtype(x) == .float32, let (scale, zeroPoint) = stub.byteParameters else {
      return false
    }
    return try addElementwise("quantize", step, reusesOperand: false) { (count, x, y, context) in
      ElementwiseKernel.quantize(scale: scale, zeroPoint: zeroPoint, count: count, x, y, in: context)
    }
  }

  mutating func addDequantize(_ stub: Stub, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], dtype(x) == .uint8, let (scale, zeroPoint) = stub.byteParameters else {
      return false
    }
    return try addElementwise("dequantize", step, reusesOperand: false) { (count, x, y, context) in
      ElementwiseKernel.dequantize(scale: scale, zeroPoint: zeroPoint, count: count, x, y, in: context)
    }
  }

  mutating func addDynamicQuantize(_ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], dtype(x) == .float32, step.outputs.count == 3 else { return false }
    let layout = presentLayout(x)
    let source = try read(x, layout)
    let targets = [
      write(step.outputs[0], layout), write(step.outputs[1], .plain), write(step.outputs[2], .plain),
    ]
    let count = self[source].count
    let range = ranges[source]
    range?.isWanted = true
    add("dynamic quantize", reads: [source], writes: targets) { (run) throws(Refusal) in
      let (scale, zeroPoint) = ElementwiseKernel.dynamicQuantize(
        count: count,
        run[source],
        range: range?.wanted,
        run[targets[0]],
        in: run.context
      )
      run[targets[1]].write([scale])
      run[targets[2]].write([zeroPoint])
    }
    return true
  }

  mutating func addActivation(_ function: PointwiseFunction, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], dtype(x) == .float32 else { return false }
    return try addElementwise("f32 activation", step) { (count, x, y, context) in
      ElementwiseKernel.activate(function, count: count, x, y, in: context)
    }
  }

  private mutating func addElementwise(
    _ name: String,
    _ step: Step,
    reusesOperand: Bool = true,
    _ kernel: @escaping (Int, Buffer, Buffer, KernelContext) -> Void
  ) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first else { return false }
    let layout = presentLayout(x)
    let source = try read(x, layout)
    let target = write(y, layout)
    let count = self[source].count
    add(name, reads: [source], writes: [target], reusing: reusesOperand ? 0 : nil) { (run) throws(Refusal) in
      kernel(count, run[source], run[target], run.context)
    }
    return true
  }

  /// The layout in which a value exists; channels-last if both.
  private func presentLayout(_ id: ValueID) -> Layout { livesChannelsLast(id) ? .channelsLast : .plain }

  mutating func addSoftmax(_ op: Softmax, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first, dtype(x) == .float32, !op.isLog,
      let columns = self.shape(x).last, columns > 0
    else { return false }
    let rank = self.shape(x).count
    guard op.axis == -1 || op.axis == rank - 1 else { return false }
    let source = try read(x, .plain)
    let target = write(y, .plain)
    let rows = self[source].count / columns
    add("f32 softmax", reads: [source], writes: [target], reusing: 0) { (run) throws(Refusal) in
      ElementwiseKernel.softmax(
        rows: rows,
        columns: columns,
        isGuarded: op.isGuarded,
        run[source],
        run[target],
        in: run.context
      )
    }
    return true
  }

  // Operators of two operands

  mutating func addIntegerBinary(_ function: ByteBinary, _ step: Step) throws(Refusal) -> Bool {
    guard let match = try pair(step, allowsScalar: false) else { return false }
    let function = match.isSwapped ? function.swapped : function
    addBinary("u8 \(step.kind.name)", match) { (a, b, y, context) in
      ElementwiseKernel.bytes(function, match.pairing, a, b, y, in: context)
    }
    return true
  }

  mutating func addFloatBinary(_ op: Binary, _ step: Step) throws(Refusal) -> Bool {
    let function: FloatBinary
    switch op.kind {
    case .add: function = .add
    case .sub: function = .subtract
    case .mul: function = .multiply
    case .div: function = .divide
    case .pow, .min, .max, .mod: return false
    }
    guard let x = step.inputs[0], dtype(x) == .float32 else { return false }
    guard let match = try pair(step, allowsScalar: true, keepsOrder: op.kind == .sub || op.kind == .div)
    else {
      return try addBroadcast(function, op.kind.rawValue, step)
    }
    addBinary("f32 \(op.kind.rawValue)", match) { (a, b, y, context) in
      ElementwiseKernel.floats(function, match.pairing, a, b, y, in: context)
    }
    return true
  }

  /// How two operands meet in memory.
  private struct Match {
    var pairing: Pairing
    /// Whether `first` is the second operand.
    var isSwapped: Bool
    var first: SlotID
    var second: SlotID
    var result: SlotID
  }

  private mutating func addBinary(
    _ name: String,
    _ match: Match,
    _ kernel: @escaping (Buffer, Buffer, Buffer, KernelContext) -> Void
  ) {
    add(name, reads: [match.first, match.second], writes: [match.result], reusing: 0) {
      (run) throws(Refusal) in
      kernel(run[match.first], run[match.second], run[match.result], run.context)
    }
  }

  /// Equal shapes, or one operand with one value per channel, or per image and channel; nil for other broadcasts.
  private mutating func pair(
    _ step: Step,
    allowsScalar: Bool,
    keepsOrder: Bool = false
  ) throws(Refusal) -> Match? {
    guard step.inputs.count == 2, let a = step.inputs[0], let b = step.inputs[1], let y = step.outputs.first,
      shape(y).allSatisfy({ $0 > 0 })
    else { return nil }
    let result = shape(y)
    if shape(a) == result && shape(b) == result {
      let layout: Layout = livesChannelsLast(a) || livesChannelsLast(b) ? .channelsLast : .plain
      let first = try read(a, layout)
      let second = try read(b, layout)
      let pairing = Pairing.equal(count: result.reduce(1, *))
      return Match(pairing: pairing, isSwapped: false, first: first, second: second, result: write(y, layout))
    }
    let isSwapped = shape(a) != result
    let (full, small) = isSwapped ? (b, a) : (a, b)
    guard shape(full) == result, !isSwapped || !keepsOrder else { return nil }
    guard let pairing = broadcast(shape(small), to: result, livesChannelsLast(full)),
      allowsScalar || !pairing.pairing.isScalar
    else { return nil }
    let first = try read(full, pairing.layout)
    let second = try read(small, .plain)
    return Match(
      pairing: pairing.pairing,
      isSwapped: isSwapped,
      first: first,
      second: second,
      result: write(y, pairing.layout)
    )
  }

  /// How a smaller operand meets a result, and in which layout of the result.
  private func broadcast(
    _ small: [Int],
    to result: [Int],
    _ isChannelsLast: Bool
  ) -> (pairing: Pairing, layout: Layout)? {
    guard small.count <= result.count else { return nil }
    let padded = [Int](repeating: 1, count: result.count - small.count) + small
    let count = result.reduce(1, *)
    if result.count > 2, padded[1] == result[1], padded.dropFirst(2).allSatisfy({ $0 == 1 }),
      padded[0] == 1 || padded[0] == result[0]
    {
      let batch = padded[0]
      let pixels = count / batch / result[1]
      return (.channels(batch: batch, pixels: pixels, channels: result[1]), .channelsLast)
    }
    if let last = result.last, padded.last == last, padded.dropLast().allSatisfy({ $0 == 1 }) {
      return (.channels(batch: 1, pixels: count / last, channels: last), .plain)
    }
    guard padded.allSatisfy({ $0 == 1 }) else { return nil }
    return (.scalar(count: count), isChannelsLast ? .channelsLast : .plain)
  }
}

extension Stub {
  /// Scale and zero point of a u8 tensor with one of each.
  var byteParameters: (scale: Float, zeroPoint: UInt8)? {
    guard dtype == .uint8, axis == nil, scales.count == 1, zeroPoints.count == 1, let scale = scales.first,
      let zeroPoint = zeroPoints.first, let byte = UInt8(exactly: zeroPoint)
    else { return nil }
    return (scale, byte)
  }
}
