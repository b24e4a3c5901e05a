internal import BinaryIO
internal import GraphIR
internal import Kernels

extension PlanBuilder {
  /// Normalisation over the last axis.
  mutating func addLayerNorm(_ op: LayerNorm, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let scale = step.inputs[1], let y = step.outputs.first,
      dtype(x) == .float32,
      let columns = self.shape(x).last, columns > 0, op.axis == -1 || op.axis == self.shape(x).count - 1,
      self.shape(scale) == [columns]
    else { return false }
    var parameters = [try read(scale, .plain)]
    if step.inputs.count > 2, let bias = step.inputs[2] {
      guard self.shape(bias) == [columns] else { return false }
      parameters.append(try read(bias, .plain))
    }
    let source = try read(x, .plain)
    let target = write(y, .plain)
    let rows = self[source].count / columns
    let operands = parameters
    add("f32 layer norm", reads: [source] + operands, writes: [target], reusing: 0) { (run) throws(Refusal) in
      RowKernel.layerNorm(
        rows: rows,
        columns: columns,
        epsilon: op.epsilon,
        run[source],
        scale: run[operands[0]],
        bias: operands.count > 1 ? run[operands[1]] : nil,
        run[target],
        in: run.context
      )
    }
    return true
  }

  /// Quantization of each row by its own range.
  mutating func addDynamicQuantizeRows(_ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], dtype(x) == .float32, step.outputs.count == 3,
      let columns = self.shape(x).last, columns > 0
    else { return false }
    let source = try read(x, .plain)
    let targets = step.outputs.map { write($0, .plain) }
    let rows = self[source].count / columns
    add("dynamic quantize rows", reads: [source], writes: targets) { (run) throws(Refusal) in
      RowKernel.dynamicQuantize(
        rows: rows,
        columns: columns,
        run[source],
        run[targets[0]],
        scales: run[targets[1]],
        zeroPoints: run[targets[2]],
        in: run.context
      )
    }
    return true
  }

  /// Products of matrices of which neither is constant.
  mutating func addMatrixProducts(_ step: Step) throws(Refusal) -> Bool {
    guard let a = step.inputs[0], let b = step.inputs[1], let y = step.outputs.first, dtype(a) == .float32,
      self.shape(a).count >= 2, self.shape(b).count >= 2, self.shape(y).allSatisfy({ $0 > 0 }),
      let depth = self.shape(a).last, depth > 0
    else { return false }
    var left = try view(a)
    let right = try view(b)
    if left.strides[left.strides.count - 1] != 1 && depth > 1 {
      let slot = try read(a, .plain)
      left = LazyView(source: slot, extents: self.shape(a), strides: Mover.strides(self.shape(a)))
    }
    let result = self.shape(y)
    let leading = Array(result.dropLast(2))
    let offsets = zip(self.offsets(left, over: leading), self.offsets(right, over: leading))
    let kernel = MatMulKernel(
      rows: result[result.count - 2],
      depth: depth,
      columns: result[result.count - 1],
      rowStride: left.strides[left.strides.count - 2],
      weightStrides: (right.strides[right.strides.count - 2], right.strides[right.strides.count - 1]),
      offsets: offsets.map { (a: $0, b: $1) }
    )
    let target = write(y, .plain)
    let sources = (left.source, right.source)
    add(
      "f32 matmul",
      reads: [sources.0, sources.1],
      writes: [target],
      scratch: kernel.scratchBytes(context)
    ) {
      (run) throws(Refusal) in
      kernel.run(run[sources.0], run[sources.1], run[target], in: run.context)
    }
    return true
  }

  /// The first element of every matrix of a view whose leading axes broadcast to `leading`, in C order.
  private func offsets(_ view: LazyView, over leading: [Int]) -> [Int] {
    let own = view.extents.count - 2
    var result = [view.offset]
    for (axis, extent) in leading.enumerated() {
      let index = axis - (leading.count - own)
      let stride = index >= 0 && view.extents[index] == extent ? view.strides[index] : 0
      result = result.flatMap { start in (0..<extent).map { start + $0 * stride } }
    }
    return result
  }

  /// A function of two f32 operands that broadcast in any way.
  mutating func addBroadcast(_ function: FloatBinary, _ name: String, _ step: Step) throws(Refusal) -> Bool {
    guard let a = step.inputs[0], let b = step.inputs[1], let y = step.outputs.first,
      dtype(a) == .float32, dtype(b) == .float32, shape(y).allSatisfy({ $0 > 0 })
    else { return false }
    let result = shape(y)
    let left = Broadcast.strides(of: shape(a), in: result)
    let right = Broadcast.strides(of: shape(b), in: result)
    guard let views = StridedView.pair(extents: result, left, right) else { return false }
    let first = try read(a, .plain)
    let second = try read(b, .plain)
    let target = write(y, .plain)
    add("f32 \(name) broadcast", reads: [first, second], writes: [target]) { (run) throws(Refusal) in
      ViewKernel.floats(function, views, run[first], run[second], run[target], in: run.context)
    }
    return true
  }
}
