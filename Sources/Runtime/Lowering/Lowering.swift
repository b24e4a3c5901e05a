internal import BinaryIO
package import GraphIR

/// Turns a network into steps.
///
/// Before:                                              After:
///
///     %xf = dequantize_linear(%x, %sx, %zx)                %q = integer conv(%x)
///     %wf = dequantize_linear(%w, %sw) {axis = 0}
///     %bf = dequantize_bias(%b, %sx, %sw)
///     %y = conv(%xf, %wf, %bf) {activation = "relu"}
///     %q = quantize_linear(%y, %sy, %zy)
///
/// Every pattern is anchored at its operator: its operands are looked up through their dequantize stubs, its result
/// is followed to the quantize stub. What does not match stays a float step between stubs, with the reason.
package struct Lowering {
  let graph: Graph
  /// Integer steps by the node of their operator.
  private var matched: [NodeID: Step] = [:]
  /// Why an operator with quantized operands stays float.
  private var reasons: [NodeID: String] = [:]
  /// Nodes after the operator that its step includes.
  private var covered: Set<NodeID> = []

  private init(_ graph: Graph) { self.graph = graph }

  /// The steps of a network whose types were inferred.
  package static func lower(_ graph: Graph) -> Program {
    var lowering = Lowering(graph)
    lowering.match()
    let steps = lowering.emit()
    return Program(graph: graph, steps: steps, standIns: lowering.standIns(steps))
  }

  // Matching

  private mutating func match() {
    for id in graph.order where !covered.contains(id) {
      guard let match = match(id) else { continue }
      switch match {
      case .success(let step):
        matched[id] = step
        covered.formUnion(step.nodes.filter { $0 != id })
      case .failure(let miss):
        if hasQuantizedOperand(id) { reasons[id] = miss.reason }
      }
    }
  }

  /// The integer step of an operator, why there is none, or nil where there could not be one.
  private func match(_ id: NodeID) -> Result<Step, Miss>? {
    do {
      switch graph[id].op {
      case .conv(let op): return .success(try conv(id, op))
      case .convTranspose(let op): return .success(try convTranspose(id, op))
      case .gemm(let op): return .success(try gemm(id, op))
      case .matMul: return .success(try matMul(id))
      case .lstm(let op): return try recurrence(id, .lstm(op)).map { .success($0) }
      case .gru(let op): return try recurrence(id, .gru(op)).map { .success($0) }
      case .binary(let op): return .success(try binary(id, op))
      case .unary, .clip, .hardSigmoid, .leakyRelu, .elu, .gelu: return .success(try table(id))
      case .concat(let op): return .success(try concat(id, op))
      case .maxPool(let op): return .success(try maxPool(id, op))
      case .averagePool(let op): return .success(try averagePool(id, op))
      case .globalPool(let op): return .success(try globalPool(id, op))
      case .reduce(let op): return .success(try reduce(id, op))
      case .reshape, .flatten, .transpose, .squeeze, .unsqueeze, .split, .slice, .gather, .expand, .pad,
        .resize:
        return .success(try passThrough(id))
      case .quantizeLinear: return try requantize(id).map { .success($0) }
      case .batchNorm, .layerNorm, .argMax, .compare, .where, .prelu, .softmax, .cast:
        return .failure(Miss("\(graph[id].op.name) has no integer form"))
      case .shape, .constantOfShape, .range, .gatherElements, .gatherND, .scatterND, .cumSum, .tile,
        .dequantizeLinear, .dequantizeBias, .dequantizeBlocks,
        .dynamicQuantize:
        return nil
      }
    } catch { return .failure(error) }
  }

  private func hasQuantizedOperand(_ id: NodeID) -> Bool {
    graph[id].inputs.contains { input in
      guard let input else { return false }
      return quantized(input) != nil || dynamic(input) != nil
    }
  }

  // Emission

  /// Steps for everything the outputs need, producers first.
  private func emit() -> [Step] {
    var needed = Set(graph.outputs)
    var steps: [Step] = []
    for id in graph.order.reversed() where !covered.contains(id) {
      let step = matched[id] ?? plain(id)
      guard step.outputs.contains(where: needed.contains) else { continue }
      for case let input? in step.inputs { needed.insert(input) }
      steps.append(step)
    }
    steps.reverse()
    markConstant(&steps)
    return steps
  }

  private func markConstant(_ steps: inout [Step]) {
    var computed: Set<ValueID> = []
    for index in steps.indices {
      let isConstant = steps[index].inputs.allSatisfy { input in
        guard let input else { return true }
        return graph[input].isConstant || computed.contains(input)
      }
      guard isConstant else { continue }
      steps[index].isConstant = true
      computed.formUnion(steps[index].outputs)
    }
  }

  /// The step of a node that is not part of an integer step.
  private func plain(_ id: NodeID) -> Step {
    let node = graph[id]
    let kind: Step.Kind
    var inputs = node.inputs
    switch node.op {
    case .quantizeLinear, .dequantizeLinear:
      if let stub = stub(id) {
        inputs = Array(inputs.prefix(1))
        if case .quantizeLinear = node.op { kind = .quantize(stub) } else { kind = .dequantize(stub) }
      } else {
        kind = .float(node.op)
      }
    case .dynamicQuantize(let op): kind = .dynamicQuantize(perRow: op.perRow)
    default: kind = .float(node.op)
    }
    return Step(kind, inputs: inputs, outputs: node.outputs, nodes: [id], reason: reasons[id])
  }

  /// Float values that no step stores, with the quantized values that carry them.
  private func standIns(_ steps: [Step]) -> [ValueID: Program.StandIn] {
    var stored = Set(graph.inputs)
    for step in steps { stored.formUnion(step.outputs) }
    func isAvailable(_ id: ValueID) -> Bool { stored.contains(id) }
    var result: [ValueID: Program.StandIn] = [:]
    for id in graph.order {
      let node = graph[id]
      guard let stub = stub(id), let source = node.inputs[0] else { continue }
      let isQuantize = if case .quantizeLinear = node.op { true } else { false }
      let (real, quantized) = isQuantize ? (source, node.outputs[0]) : (node.outputs[0], source)
      guard result[real] == nil, !stored.contains(real), !graph[real].isConstant, isAvailable(quantized)
      else {
        continue
      }
      result[real] = Program.StandIn(quantized: quantized, stub: stub)
    }
    return result
  }
}

/// Why an operator has no integer step.
struct Miss: Error {
  let reason: String

  init(_ reason: String) { self.reason = reason }
}
