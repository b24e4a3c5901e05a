internal import BinaryIO
internal import GraphIR
internal import Kernels

extension PlanBuilder {
  /// The same bytes under another shape.
  mutating func addRelabel(_ table: [UInt8]?, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first, step.outputs.count == 1 else { return false }
    if table == nil, let view = pendingView(x)?.reshaped(to: shape(y)) {
      setView(view, of: y)
      return true
    }
    let source = try read(x, .plain)
    let target = write(y, .plain)
    guard self[source].byteCount == self[target].byteCount else { return false }
    let bytes = self[source].byteCount
    add("relabel", reads: [source], writes: [target], reusing: 0) { (run) throws(Refusal) in
      if let table {
        ElementwiseKernel.table(table, count: bytes, run[source], run[target], in: run.context)
      } else {
        ElementwiseKernel.copy(bytes, run[source], run[target])
      }
    }
    return true
  }

  mutating func addPassThrough(_ kind: PassThrough, _ step: Step) throws(Refusal) -> Bool {
    switch kind.op {
    case .reshape, .flatten, .squeeze, .unsqueeze: return try addRelabel(kind.tables.first ?? nil, step)
    default: break
    }
    guard kind.tables.allSatisfy({ $0 == nil }) else { return false }
    switch kind.op {
    case .transpose(let op): return try addTranspose(op, step)
    case .split(let op): return try addSplit(op, step)
    case .slice(let op): return try addSlice(op, step)
    case .gather(let op): return try addGather(op, step)
    case .expand: return try addExpand(step)
    case .pad(let op): return try addPad(op, byte: kind.padByte, step)
    case .resize(let op): return try addResize(op, step)
    default: return false
    }
  }

  /// The kernel of a float operator, if there is one for its operands.
  mutating func addFloat(_ op: Op, _ step: Step) throws(Refusal) -> Bool {
    switch op {
    case .conv(let op): return try addFloatConv(op, step)
    case .convTranspose(let op): return try addFloatConvTranspose(op, step)
    case .gemm(let op): return try addFloatGemm(op, step)
    case .matMul: return try addMatMul(step)
    case .lstm(let op): return try addRecurrence(.lstm(op), step)
    case .gru(let op): return try addRecurrence(.gru(op), step)
    case .batchNorm(let op): return try addBatchNorm(op, step)
    case .maxPool(let op): return try addMaxPool(op, step)
    case .averagePool(let op): return try addAveragePool(op, step)
    case .globalPool(let op): return try addGlobalPool(op, step)
    case .reduce(let op): return try addReduce(op, step)
    case .unary(let op):
      guard let function = PointwiseFunction(op.kind) else { return false }
      return try addActivation(function, step)
    case .clip(let op): return try addActivation(.clip(min: op.min, max: op.max), step)
    case .hardSigmoid(let op): return try addActivation(.hardSigmoid(alpha: op.alpha, beta: op.beta), step)
    case .leakyRelu(let op): return try addActivation(.leakyRelu(alpha: op.alpha), step)
    case .elu(let op): return try addActivation(.elu(alpha: op.alpha, scale: op.scale), step)
    case .binary(let op): return try addFloatBinary(op, step)
    case .softmax(let op): return try addSoftmax(op, step)
    case .gelu(let op): return try addActivation(.gelu(isTanh: op.isTanh), step)
    case .transpose(let op): return try addTranspose(op, step)
    case .split(let op): return try addSplit(op, step)
    case .slice(let op): return try addSlice(op, step)
    case .gather(let op): return try addGather(op, step)
    case .expand: return try addExpand(step)
    case .pad(let op): return try addPad(op, step)
    case .resize(let op): return try addResize(op, step)
    case .concat(let op):
      guard let y = step.outputs.first else { return false }
      let axis = op.axis < 0 ? op.axis + shape(y).count : op.axis
      return try addConcat(axis: axis, tables: [], step)
    case .reshape, .flatten, .squeeze, .unsqueeze: return try addRelabel(nil, step)
    case .layerNorm, .argMax, .compare, .where, .prelu, .cast, .shape, .constantOfShape,
      .gatherElements, .gatherND, .scatterND, .cumSum, .tile,
      .range,
      .quantizeLinear, .dequantizeLinear,
      .dequantizeBias, .dequantizeBlocks, .dynamicQuantize:
      return false
    }
  }
}

extension PointwiseFunction {
  /// The kernel's name of an operator; nil where there is none.
  init?(_ kind: Unary.Kind) {
    switch kind {
    case .relu: self = .relu
    case .sigmoid: self = .sigmoid
    case .hardSwish: self = .hardSwish
    case .silu: self = .silu
    case .mish: self = .mish
    case .tanh: self = .tanh
    case .erf: self = .erf
    case .exp, .log, .sqrt, .reciprocal, .neg, .abs, .floor, .ceil, .round, .sign, .sin, .cos,
      .softplus,
      .not:
      return nil
    }
  }
}
