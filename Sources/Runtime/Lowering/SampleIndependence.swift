internal import BinaryIO
internal import GraphIR

/// Tells whether the samples of a batch do not see each other, so that a batch may run in parts.
///
/// Decided by comparing a network specialised for one sample with the same network for several: a value is *free* if it
/// is the same in both, *per sample* if its first extent counts samples and nothing else changes, and *sizes* if it is
/// shape arithmetic. Every operator must keep samples apart along the first axis; what is not known to do so does not.
struct SampleIndependence {
  private enum Kind {
    case free, perSample, sizes
  }

  private let one: Graph
  private let many: Graph
  private let samples: Int
  /// Values from this index on were added by a specialisation and may differ between the two.
  private let firstAdded: Int
  private var kinds: [ValueID: Kind] = [:]

  /// - Parameters:
  ///   - network: The graph that both were specialised from.
  ///   - one: The graph for one sample.
  ///   - many: The graph for `samples` samples, at least 2.
  static func holds(_ network: Graph, one: Graph, many: Graph, samples: Int) -> Bool {
    var check = SampleIndependence(one: one, many: many, samples: samples, firstAdded: network.valueCapacity)
    return check.run()
  }

  private init(one: Graph, many: Graph, samples: Int, firstAdded: Int) {
    self.one = one
    self.many = many
    self.samples = samples
    self.firstAdded = firstAdded
  }

  private mutating func run() -> Bool {
    for id in many.inputs {
      guard let kind = kind(byShape: id) else { return false }
      kinds[id] = kind
    }
    let order = many.order
    guard one.order == order else { return false }
    for id in order {
      guard one[id].op == many[id].op, one[id].outputs == many[id].outputs, let kind = kind(of: id) else {
        return false
      }
      for output in many[id].outputs {
        guard kind == .sizes || self.kind(byShape: output) == kind else { return false }
        kinds[output] = kind
      }
    }
    return many.outputs.allSatisfy { kinds[$0] == .perSample }
  }

  /// Whether the shapes of a value are equal, or differ by the number of samples; nil otherwise.
  private func kind(byShape id: ValueID) -> Kind? {
    guard let few = one[id].type.knownDims, let all = many[id].type.knownDims else { return nil }
    if few == all { return .free }
    return few.first == 1 && all == [samples] + few.dropFirst() ? .perSample : nil
  }

  private func kind(ofOperand index: Int, _ node: NodeID) -> Kind? {
    let operands = many[node].inputs
    guard index < operands.count, let id = operands[index] else { return .free }
    guard many[id].isConstant else { return kinds[id] }
    guard let other = one[node].inputs[index], let few = one[other].constant, let all = many[id].constant
    else {
      return nil
    }
    if id == other, id.index < firstAdded { return .free }
    let isSame = few.type == all.type && few.bytes.hasSameBytes(as: all.bytes)
    return isSame ? .free : .sizes
  }

  /// What the results of a node are; nil where samples might mix.
  private func kind(of node: NodeID) -> Kind? {
    var operands: [Kind] = []
    for index in many[node].inputs.indices {
      guard let kind = kind(ofOperand: index, node) else { return nil }
      operands.append(kind)
    }
    if case .shape = many[node].op { return operands.first == .perSample ? .sizes : operands.first }
    if case .expand = many[node].op { return many[node].outputs.first.flatMap(kind(byShape:)) }
    if case .constantOfShape = many[node].op { return many[node].outputs.first.flatMap(kind(byShape:)) }
    guard operands.contains(.perSample) else {
      guard operands.contains(.sizes) else { return .free }
      let areIntegers = many[node].outputs.allSatisfy { many[$0].type.dtype == .int64 }
      return areIntegers ? .sizes : nil
    }
    return keepsSamplesApart(node, operands) ? .perSample : nil
  }

  /// Whether a node with an operand that is per sample computes each sample from that sample alone, provided that its
  /// result is per sample by its shape.
  private func keepsSamplesApart(_ node: NodeID, _ operands: [Kind]) -> Bool {
    let others = operands.dropFirst()
    let onlyFirst = operands.first == .perSample && others.allSatisfy { $0 == .free }
    switch many[node].op {
    case .conv, .convTranspose, .batchNorm, .maxPool, .averagePool, .globalPool, .flatten, .squeeze,
      .unsqueeze,
      .resize, .quantizeLinear, .unary, .clip, .hardSigmoid, .leakyRelu, .elu, .gelu, .cast:
      return onlyFirst
    case .dequantizeLinear: return operands.first == .perSample && !operands.contains(.sizes)
    case .gemm(let op): return onlyFirst && !op.transA
    case .matMul: return keepsSamplesApart(product: node, operands)
    case .layerNorm(let op): return onlyFirst && isInner(op.axis, node)
    case .softmax(let op): return onlyFirst && isInner(op.axis, node)
    case .argMax(let op): return onlyFirst && isInner(op.axis, node)
    case .cumSum(let op): return onlyFirst && isInner(op.axis, node)
    case .split(let op): return onlyFirst && isInner(op.axis, node)
    case .concat(let op): return !operands.contains(.sizes) && isInner(op.axis, node)
    case .reduce(let op):
      guard onlyFirst, let axes = op.axes ?? ints(1, node) else { return false }
      return axes.allSatisfy { isInner($0, node) }
    case .slice(let op): return keepsSamplesApart(slice: op, node, operands)
    case .gather(let op):
      return isInner(op.axis, node) ? onlyFirst : operands == [.free, .perSample] && op.axis == 0
    case .transpose(let op): return onlyFirst && op.perm.first == 0
    case .pad(let op): return onlyFirst && op.pads.first == 0 && op.pads[op.pads.count / 2] == 0
    case .reshape: return operands.first == .perSample
    case .binary, .compare, .where, .prelu: return isElementwise(node, operands)
    case .dynamicQuantize(let op): return onlyFirst && op.perRow
    // The first axis of a recurrence is time.
    case .lstm, .gru: return false
    case .gatherElements, .gatherND, .scatterND, .tile: return false
    case .expand, .shape, .constantOfShape, .range, .dequantizeBias, .dequantizeBlocks: return false
    }
  }

  private func rank(_ index: Int, _ node: NodeID) -> Int {
    many[node].inputs[index].map { many[$0].type.rank } ?? 0
  }

  /// Whether an axis of the first operand is not that of the samples.
  private func isInner(_ axis: Int, _ node: NodeID) -> Bool { axis < 0 ? axis + rank(0, node) > 0 : axis > 0 }

  private func ints(_ index: Int, _ node: NodeID) -> [Int]? {
    guard index < many[node].inputs.count, let id = many[node].inputs[index] else { return nil }
    return many[id].constant?.intValues()
  }

  /// Rows of a matrix that all samples share, or a matrix for each sample.
  private func keepsSamplesApart(product node: NodeID, _ operands: [Kind]) -> Bool {
    switch (operands[0], operands[1]) {
    case (.perSample, .free): true
    case (.perSample, .perSample): rank(0, node) == rank(1, node) && rank(0, node) > 2
    case (.free, .perSample): rank(1, node) > 2
    default: false
    }
  }

  /// The shapes tell that all samples are taken; a step of 1 tells that they stay in order.
  private func keepsSamplesApart(slice op: Slice, _ node: NodeID, _ operands: [Kind]) -> Bool {
    guard operands.first == .perSample, operands.dropFirst().allSatisfy({ $0 == .free }) else { return false }
    guard let starts = op.starts ?? ints(1, node) else { return false }
    let axes = op.axes ?? ints(3, node) ?? Array(starts.indices)
    let steps = op.steps ?? ints(4, node) ?? starts.map { _ in 1 }
    return zip(axes, steps).allSatisfy { isInner($0, node) || $1 == 1 }
  }

  /// Operands of samples have all axes of the result, so that samples meet samples.
  private func isElementwise(_ node: NodeID, _ operands: [Kind]) -> Bool {
    let result = many[node].outputs.first.map { many[$0].type.rank }
    return operands.indices.allSatisfy { index in
      operands[index] == .free || (operands[index] == .perSample && rank(index, node) == result)
    }
  }
}
