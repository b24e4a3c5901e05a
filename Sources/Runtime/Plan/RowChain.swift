internal import GraphIR
internal import Kernels

/// Steps that work on rows one after another.
///
///     %s = add(%x, %r)                 or absent
///     %n = layer_norm(%s, %w, %b)      or absent
///     %f = gelu(%n)                    or another function, or absent
///     %q, ... = dynamic_quantize(%f)   per row, or absent
///
/// Values in between are kept only where something else reads them, which the sum and the last of floats may be.
struct RowChain {
  var x: ValueID
  var addend: ValueID?
  /// The sum, if something needs it.
  var sum: ValueID?
  var norm: (op: LayerNorm, scale: ValueID, bias: ValueID?)?
  var function: PointwiseFunction?
  /// The last of floats, if something needs it.
  var result: ValueID?
  /// Elements, scales, zero points.
  var quantized: [ValueID] = []
  /// Indices of the steps in the order above; at least one.
  private(set) var steps: [Int] = []

  /// Whether its first step takes rows; otherwise it takes elements in any order.
  var beginsWithRows: Bool { addend == nil && (norm != nil || function == nil) }

  /// What a step does to rows, in the order of a chain.
  private enum Stage: Int {
    case add, norm, function, quantize
  }

  /// The longest chain, or that of one step if `isLong` is false.
  ///
  /// - Returns: nil where the first step works on no rows of f32.
  init?(from first: Int, isLong: Bool, in program: Program, _ uses: StepUses, _ constants: ConstantValues) {
    guard let start = program.steps[first].inputs.first, let start,
      program.graph[start].type.dtype == .float32,
      let columns = program.graph[start].type.knownDims?.last, columns > 0
    else { return nil }
    x = start
    var next: Int? = first
    while let index = next, let stage = stage(program.steps[index], columns, program.graph, constants) {
      steps.append(index)
      next = nil
      guard let value = take(stage, program.steps[index]) else { break }
      if isLong { next = successor(of: value, after: stage, columns, program, uses, constants) }
      let isNeeded = next.map { uses.isNeeded(value, besides: $0) } ?? true
      if stage == .add {
        if isNeeded { sum = value }
      } else if isNeeded {
        result = value
      }
    }
    guard !steps.isEmpty else { return nil }
  }

  /// Takes in a step; returns its f32 result.
  private mutating func take(_ stage: Stage, _ step: Step) -> ValueID? {
    switch stage {
    case .add: addend = step.inputs[1]
    case .norm:
      guard case .float(.layerNorm(let op)) = step.kind, let scale = step.inputs[1] else { return nil }
      norm = (op, scale, step.inputs.count > 2 ? step.inputs[2] : nil)
    case .function: function = RowChain.function(step)
    case .quantize:
      quantized = step.outputs
      return nil
    }
    return step.outputs.first
  }

  /// The step that goes on with a value: one of a later stage, and quantization if the value has to be kept.
  private func successor(
    of value: ValueID,
    after stage: Stage,
    _ columns: Int,
    _ program: Program,
    _ uses: StepUses,
    _ constants: ConstantValues
  ) -> Int? {
    uses.readers(of: value).first { index in
      guard program.steps[index].inputs.first == value,
        let next = self.stage(program.steps[index], columns, program.graph, constants),
        next.rawValue > stage.rawValue
      else { return false }
      return stage == .add || next == .quantize || !uses.isNeeded(value, besides: index)
    }
  }

  private func stage(_ step: Step, _ columns: Int, _ graph: Graph, _ constants: ConstantValues) -> Stage? {
    func shape(_ id: ValueID?) -> [Int]? { id.flatMap { graph[$0].type.knownDims } }
    switch step.kind {
    case .float(.binary(let op)):
      guard op.kind == .add, step.inputs.count == 2, let a = shape(step.inputs[0]), a.count > 1,
        a == shape(step.inputs[1]), step.inputs[0] != step.inputs[1]
      else { return nil }
      return .add
    case .float(.layerNorm(let op)):
      let rank = shape(step.inputs[0])?.count ?? 0
      let parameters = step.inputs.dropFirst().compactMap { $0 }
      guard op.axis == -1 || op.axis == rank - 1, !parameters.isEmpty,
        parameters.allSatisfy({ id in
          shape(id) == [columns]
            ? steps.isEmpty || constants.isConstant(id) : shape(id) == [1] && constants.isConstant(id)
        })
      else { return nil }
      return .norm
    case .float: return RowChain.function(step) == nil ? nil : .function
    case .dynamicQuantize(let perRow): return perRow && step.outputs.count == 3 ? .quantize : nil
    default: return nil
    }
  }

  private static func function(_ step: Step) -> PointwiseFunction? {
    switch step.kind {
    case .float(.unary(let op)): PointwiseFunction(op.kind)
    case .float(.clip(let op)): .clip(min: op.min, max: op.max)
    case .float(.hardSigmoid(let op)): .hardSigmoid(alpha: op.alpha, beta: op.beta)
    case .float(.leakyRelu(let op)): .leakyRelu(alpha: op.alpha)
    case .float(.elu(let op)): .elu(alpha: op.alpha, scale: op.scale)
    case .float(.gelu(let op)): .gelu(isTanh: op.isTanh)
    default: nil
    }
  }
}
