internal import BinaryIO
internal import GraphIR
internal import Kernels

extension PlanBuilder {
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
    let offsets = zip(matrixOffsets(left, over: leading), matrixOffsets(right, over: leading))
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
  private func matrixOffsets(_ view: LazyView, over leading: [Int]) -> [Int] {
    let missing = leading.count - (view.extents.count - 2)
    let strides = leading.indices.map { axis in
      axis >= missing && view.extents[axis - missing] == leading[axis] ? view.strides[axis - missing] : 0
    }
    return offsets(view.offset, strides, over: leading)
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
