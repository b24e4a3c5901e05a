internal import BinaryIO
internal import GraphIR
internal import Kernels

/// A value that is other elements of another value, not copied until somebody needs them in order.
struct LazyView {
  /// Where the elements are, in plain layout.
  let source: SlotID
  var extents: [Int]
  /// Elements between neighbours along each axis.
  var strides: [Int]
  /// Element of the source that comes first.
  var offset = 0

  /// The same elements with axes in the order that a layout has in memory.
  func ordered(as layout: Layout) -> LazyView {
    guard layout == .channelsLast else { return self }
    var result = self
    result.extents = [extents[0]] + extents.dropFirst(2) + [extents[1]]
    result.strides = [strides[0]] + strides.dropFirst(2) + [strides[1]]
    return result
  }

  /// The same elements in the same order under another shape; nil where no strides can say that.
  func reshaped(to shape: [Int]) -> LazyView? {
    guard !shape.contains(0), !extents.contains(0) else { return nil }
    // Runs of elements whose distance is the same all along, innermost first.
    var runs: [(count: Int, stride: Int)] = []
    for (extent, stride) in zip(extents, strides).reversed() where extent != 1 {
      if let last = runs.last, last.count * last.stride == stride {
        runs[runs.count - 1].count *= extent
      } else {
        runs.append((extent, stride))
      }
    }
    var result = self
    result.extents = shape
    result.strides = [Int](repeating: 0, count: shape.count)
    for axis in shape.indices.reversed() where shape[axis] != 1 {
      guard let run = runs.first, run.count % shape[axis] == 0 else { return nil }
      result.strides[axis] = run.stride
      runs[0] = (run.count / shape[axis], run.stride * shape[axis])
      if runs[0].count == 1 { runs.removeFirst() }
    }
    return runs.isEmpty ? result : nil
  }
}

extension PlanBuilder {
  /// The value as a view: of what it views, or of itself, in whichever layout it lies.
  mutating func view(_ id: ValueID) throws(Refusal) -> LazyView {
    if let view = pendingView(id) ?? views[id] { return view }
    let slot = try read(id, .plain)
    return LazyView(source: slot, extents: shape(id), strides: Mover.strides(shape(id)))
  }

  mutating func addTranspose(_ op: Transpose, _ step: Step) throws(Refusal) -> Bool {
    try addView(step) { view, _ in
      view.extents = op.perm.map { view.extents[$0] }
      view.strides = op.perm.map { view.strides[$0] }
      return true
    }
  }

  mutating func addExpand(_ step: Step) throws(Refusal) -> Bool {
    try addView(step) { view, shape in
      guard view.extents.count <= shape.count else { return false }
      let leading = shape.count - view.extents.count
      let strides = view.extents.indices.map { axis in
        view.extents[axis] == shape[leading + axis] ? view.strides[axis] : 0
      }
      view.strides = [Int](repeating: 0, count: leading) + strides
      view.extents = shape
      return true
    }
  }

  mutating func addSlice(_ op: Slice, _ step: Step) throws(Refusal) -> Bool {
    guard let starts = try list(op.starts, step, 1), let ends = try list(op.ends, step, 2) else {
      return false
    }
    let axes = try list(op.axes, step, 3) ?? Array(starts.indices)
    let steps = try list(op.steps, step, 4) ?? starts.map { _ in 1 }
    guard steps.allSatisfy({ $0 > 0 }), ends.count == starts.count, axes.count == starts.count,
      steps.count == starts.count
    else { return false }
    return try addView(step) { view, shape in
      let rank = view.extents.count
      for (index, axis) in axes.enumerated() {
        let along = axis < 0 ? axis + rank : axis
        let extent = view.extents[along]
        let chosen = Slice.indices(
          extent: extent,
          start: starts[index],
          end: ends[index],
          step: steps[index]
        )
        view.offset += chosen.first * view.strides[along]
        view.strides[along] *= steps[index]
        view.extents[along] = chosen.count
      }
      return view.extents == shape
    }
  }

  mutating func addSplit(_ op: Split, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let rank = program.graph[x].type.knownDims?.count else { return false }
    let along = op.axis < 0 ? op.axis + rank : op.axis
    var first = 0
    for output in step.outputs {
      var view = try view(x)
      view.offset += first * view.strides[along]
      view.extents[along] = shape(output)[along]
      first += view.extents[along]
      setView(view, of: output)
    }
    return true
  }

  /// One constant index along an axis.
  mutating func addGather(_ op: Gather, _ step: Step) throws(Refusal) -> Bool {
    guard let indices = step.inputs[1], constants.isConstant(indices), let x = step.inputs[0],
      !constants.isConstant(x)
    else { return false }
    let tensor = try constants.tensor(indices)
    guard tensor.count == 1, let index = tensor.intValues()?.first else { return false }
    return try addView(step) { view, shape in
      let rank = view.extents.count
      let along = op.axis < 0 ? op.axis + rank : op.axis
      let extent = view.extents[along]
      let position = index < 0 ? index + extent : index
      guard (0..<extent).contains(position) else { return false }
      view.offset += position * view.strides[along]
      view.extents[along] = 1
      let ones = [Int](repeating: 1, count: tensor.shape.count)
      view.extents.replaceSubrange(along...along, with: ones)
      view.strides.replaceSubrange(along...along, with: ones.map { _ in 0 })
      return view.extents == shape
    }
  }

  /// Makes the only output of a step a view of its first operand; `edit` gets that and the output's shape, and tells
  /// whether it could.
  private mutating func addView(
    _ step: Step,
    _ edit: (inout LazyView, [Int]) -> Bool
  ) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first, step.outputs.count == 1,
      [1, 2, 4, 8].contains(dtype(x).size)
    else { return false }
    var view = try view(x)
    guard edit(&view, shape(y)), view.extents == shape(y) else { return false }
    setView(view, of: y)
    return true
  }

  private mutating func list(_ attribute: [Int]?, _ step: Step, _ index: Int) throws(Refusal) -> [Int]? {
    if let attribute { return attribute }
    guard index < step.inputs.count, let id = step.inputs[index], constants.isConstant(id) else { return nil }
    return try constants.tensor(id).intValues()
  }

  /// Copies the elements of a view into a slot of its own.
  mutating func addCopy(of view: LazyView, _ target: SlotID) throws(Refusal) {
    guard let strided = StridedView(extents: view.extents, strides: view.strides, offset: view.offset) else {
      throw Evaluation.refusal("R6", "a value of \(view.extents.count) axes is rearranged too often")
    }
    let size = self[target].dtype.size
    add("gather", reads: [view.source], writes: [target]) { (run) throws(Refusal) in
      ViewKernel.gather(elementSize: size, strided, run[view.source], run[target], in: run.context)
    }
  }
}
