internal import BinaryIO
internal import GraphIR
internal import Kernels

extension PlanBuilder {
  mutating func addIntegerAveragePool(_ kind: IntegerAveragePool, _ step: Step) throws(Refusal) -> Bool {
    let pool = kind.pool
    guard let x = step.inputs[0], let y = step.outputs.first,
      let shape = poolingShape(
        pool.kernel,
        pool.strides,
        pool.pads,
        pool.dilations,
        pool.countIncludePad,
        x,
        y
      )
    else { return false }
    try addByteMean(
      shape,
      zeroPoint: kind.inputZeroPoint,
      multipliers: (0...shape.kernelHeight * shape.kernelWidth).map { $0 == 0 ? 0 : kind.multiplier($0) },
      ByteClamp(kind.clamp),
      x,
      y
    )
    return true
  }

  mutating func addIntegerMaxPool(_ kind: IntegerMaxPool, _ step: Step) throws(Refusal) -> Bool {
    let pool = kind.pool
    guard let x = step.inputs[0], let y = step.outputs.first,
      let shape = poolingShape(pool.kernel, pool.strides, pool.pads, pool.dilations, false, x, y)
    else { return false }
    try addByteMax(shape, kind.table, x, y)
    return true
  }

  mutating func addIntegerGlobalPool(_ kind: IntegerGlobalPool, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first, self.shape(x).count > 2,
      self.shape(x).allSatisfy({ $0 > 0 })
    else { return false }
    let shape = PoolingShape(global: self.shape(x))
    switch kind.function {
    case .average(let zeroPoint, let inputScale, let outputScale, let clamp):
      let n = shape.kernelWidth
      let multiplier = Float(Double(inputScale) / (Double(outputScale) * Double(n)))
      var multipliers = [Float](repeating: 0, count: n + 1)
      multipliers[n] = multiplier
      try addByteMean(shape, zeroPoint: zeroPoint, multipliers: multipliers, ByteClamp(clamp), x, y)
    case .max(let table): try addByteMax(shape, table, x, y)
    }
    return true
  }

  mutating func addMaxPool(_ op: MaxPool, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first,
      let shape = poolingShape(op.kernel, op.strides, op.pads, op.dilations, false, x, y)
    else { return false }
    switch dtype(x) {
    case .float32: try addFloatPool("f32 max pool", shape, x, y, PoolingKernel.max)
    case .uint8: try addByteMax(shape, nil, x, y)
    default: return false
    }
    return true
  }

  mutating func addAveragePool(_ op: AveragePool, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first, dtype(x) == .float32,
      let shape = poolingShape(op.kernel, op.strides, op.pads, op.dilations, op.countIncludePad, x, y)
    else { return false }
    try addFloatPool("f32 average pool", shape, x, y, PoolingKernel.average)
    return true
  }

  mutating func addGlobalPool(_ op: GlobalPool, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first else { return false }
    return try addGlobal(isMax: op.kind == .max, x, y)
  }

  /// A mean or maximum over exactly the spatial axes, or over neighbouring axes that others follow.
  mutating func addReduce(_ op: Reduce, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first, step.inputs.count == 1,
      op.kind == .mean || op.kind == .max, let axes = op.axes
    else { return false }
    let rank = self.shape(x).count
    let wrapped = Set(axes.map { $0 < 0 ? $0 + rank : $0 })
    guard rank > 2, wrapped == Set(2..<rank) else {
      return try addReduceOver(wrapped, isMax: op.kind == .max, x, y)
    }
    return try addGlobal(isMax: op.kind == .max, x, y)
  }

  /// One window over `axes`; the axes behind them are its channels.
  private mutating func addReduceOver(
    _ axes: Set<Int>,
    isMax: Bool,
    _ x: ValueID,
    _ y: ValueID
  ) throws(Refusal) -> Bool {
    let dims = self.shape(x)
    guard let first = axes.min(), let last = axes.max(), first >= 0, last < dims.count - 1,
      axes.count == last - first + 1, dtype(x) == .float32, dims.allSatisfy({ $0 > 0 })
    else { return false }
    var shape = PoolingShape()
    shape.batch = dims[..<first].reduce(1, *)
    shape.inputWidth = dims[first...last].reduce(1, *)
    shape.kernelWidth = shape.inputWidth
    shape.channels = dims[(last + 1)...].reduce(1, *)
    let source = try read(x, .plain)
    let target = write(y, .plain)
    let window = shape
    add("f32 \(isMax ? "max" : "mean") over axes", reads: [source], writes: [target]) {
      (run) throws(Refusal) in
      if isMax {
        PoolingKernel.max(window, run[source], run[target], in: run.context)
      } else {
        PoolingKernel.average(window, run[source], run[target], in: run.context)
      }
    }
    return true
  }

  private mutating func addGlobal(isMax: Bool, _ x: ValueID, _ y: ValueID) throws(Refusal) -> Bool {
    guard dtype(x) == .float32, self.shape(x).count > 2, self.shape(x).allSatisfy({ $0 > 0 }) else {
      return false
    }
    let shape = PoolingShape(global: self.shape(x))
    if isMax {
      try addFloatPool("f32 global max pool", shape, x, y, PoolingKernel.max)
    } else {
      try addFloatPool("f32 global average pool", shape, x, y, PoolingKernel.average)
    }
    return true
  }

  private func poolingShape(
    _ kernel: [Int],
    _ strides: [Int],
    _ pads: [Int],
    _ dilations: [Int],
    _ countIncludePad: Bool,
    _ x: ValueID,
    _ y: ValueID
  ) -> PoolingShape? {
    var shape = PoolingShape(
      kernel: kernel,
      strides: strides,
      pads: pads,
      dilations: dilations,
      x: self.shape(x),
      y: self.shape(y)
    )
    shape?.countIncludePad = countIncludePad
    guard let shape, shape.hasNoEmptyWindow else { return nil }
    return shape
  }

  private mutating func addFloatPool(
    _ name: String,
    _ shape: PoolingShape,
    _ x: ValueID,
    _ y: ValueID,
    _ kernel: @escaping (PoolingShape, Buffer, Buffer, KernelContext) -> Void
  ) throws(Refusal) {
    let source = try read(x, .channelsLast)
    let target = write(y, .channelsLast)
    add(name, reads: [source], writes: [target]) { (run) throws(Refusal) in
      kernel(shape, run[source], run[target], run.context)
    }
  }

  private mutating func addByteMax(
    _ shape: PoolingShape,
    _ table: [UInt8]?,
    _ x: ValueID,
    _ y: ValueID
  ) throws(Refusal) {
    let source = try read(x, .channelsLast)
    let target = write(y, .channelsLast)
    let scratch = PoolingKernel.scratchBytes(shape, in: context)
    add("u8 max pool", reads: [source], writes: [target], scratch: scratch) { (run) throws(Refusal) in
      PoolingKernel.maxBytes(shape, run[source], run[target], table: table, in: run.context)
    }
  }

  private mutating func addByteMean(
    _ shape: PoolingShape,
    zeroPoint: UInt8,
    multipliers: [Float],
    _ clamp: ByteClamp,
    _ x: ValueID,
    _ y: ValueID
  ) throws(Refusal) {
    let source = try read(x, .channelsLast)
    let target = write(y, .channelsLast)
    let scratch = PoolingKernel.scratchBytes(shape, in: context)
    add("u8 average pool", reads: [source], writes: [target], scratch: scratch) { (run) throws(Refusal) in
      PoolingKernel.averageBytes(
        shape,
        run[source],
        run[target],
        zeroPoint: zeroPoint,
        multipliers: multipliers,
        clamp,
        in: run.context
      )
    }
  }
}
