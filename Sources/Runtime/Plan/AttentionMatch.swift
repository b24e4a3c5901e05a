internal import GraphIR

/// Steps that are attention.
///
///     %s = matmul(%q, %kT)
///     %f = mul(%s, 0.125)          or div, or absent
///     %m = add(%f, %mask)          or absent
///     %p = softmax(%m) {axis = -1}
///     %y = matmul(%p, %v)
///     %t = transpose(%y)           or absent
///
/// Nothing else reads the values in between.
struct AttentionMatch {
  let q: ValueID
  /// Keys as columns.
  let keys: ValueID
  var factor: Float = 1
  var mask: ValueID?
  /// Whether the softmax is.
  var isGuarded = false
  var v: ValueID
  /// The result of the last product.
  var y: ValueID
  /// The order of the result's axes, and the result in that order.
  var transposed: (perm: [Int], value: ValueID)?
  /// Indices of the steps, in the order above.
  var steps: [Int]
  /// Index of the last product, by whose turn all operands are computed.
  var last: Int

  /// The match that begins with a product, or nil.
  init?(from first: Int, in program: Program, _ uses: StepUses, _ constants: ConstantValues) {
    let graph = program.graph
    func shape(_ id: ValueID) -> [Int] { graph[id].type.knownDims ?? [] }
    guard let (a, b) = AttentionMatch.product(program.steps[first], graph),
      var scores = program.steps[first].outputs.first
    else { return nil }
    (q, keys) = (a, b)
    (v, y, last, steps) = (b, scores, first, [first])
    var isSoftmaxDone = false
    while let index = uses.onlyReader(of: scores), let result = program.steps[index].outputs.first {
      let step = program.steps[index]
      guard case .float(let op) = step.kind else { return nil }
      if isSoftmaxDone {
        guard case .matMul = op, let (p, values) = AttentionMatch.product(step, graph), p == scores else {
          return nil
        }
        (v, y, last) = (values, result, index)
        steps.append(index)
        findTranspose(program, uses)
        return
      }
      switch op {
      case .binary(let binary) where shape(result) == shape(scores):
        guard step.inputs.count == 2, let a = step.inputs[0], let b = step.inputs[1],
          add(binary.kind, scores == a ? b : a, isSecond: scores == b, shape(result), graph, constants)
        else { return nil }
      case .softmax(let softmax):
        guard !softmax.isLog, softmax.axis == -1 || softmax.axis == shape(scores).count - 1 else {
          return nil
        }
        isSoftmaxDone = true
        isGuarded = softmax.isGuarded
      default: return nil
      }
      steps.append(index)
      scores = result
    }
    return nil
  }

  /// Takes in a factor or a mask of the scores; whether it could.
  private mutating func add(
    _ kind: Binary.Kind,
    _ other: ValueID,
    isSecond: Bool,
    _ shape: [Int],
    _ graph: Graph,
    _ constants: ConstantValues
  ) -> Bool {
    guard mask == nil, graph[other].type.dtype == .float32 else { return false }
    switch kind {
    case .add:
      mask = other
      return (graph[other].type.knownDims?.count ?? .max) <= shape.count
    case .mul, .div:
      guard kind == .mul || !isSecond, constants.isConstant(other), graph[other].type.elementCount == 1,
        let value = try? constants.tensor(other).floatValues()?.first
      else { return false }
      factor = kind == .mul ? factor * value : factor / value
      return true
    case .sub, .pow, .min, .max, .mod: return false
    }
  }

  private mutating func findTranspose(_ program: Program, _ uses: StepUses) {
    guard let index = uses.onlyReader(of: y), case .float(.transpose(let op)) = program.steps[index].kind,
      op.perm.last == op.perm.count - 1, let value = program.steps[index].outputs.first
    else { return }
    transposed = (op.perm, value)
    steps.append(index)
  }

  /// The operands of a product of f32 matrices of the same rank.
  private static func product(_ step: Step, _ graph: Graph) -> (ValueID, ValueID)? {
    guard case .float(.matMul) = step.kind, step.inputs.count == 2, let a = step.inputs[0],
      let b = step.inputs[1], let y = step.outputs.first, graph[a].type.dtype == .float32,
      let left = graph[a].type.knownDims, let right = graph[b].type.knownDims,
      let result = graph[y].type.knownDims
    else { return nil }
    guard left.count >= 2, right.count == left.count, result.count == left.count,
      (left + right + result).allSatisfy({ $0 > 0 })
    else { return nil }
    return (a, b)
  }
}
