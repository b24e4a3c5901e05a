package import BinaryIO
package import GraphIR

/// The plain executor: every operator as a few loops, the oracle of the fast one and the folder of constants.
package enum Reference {
  /// The results of one operator.
  ///
  /// Operands are checked by the operator's type rule first, so that the loops may rely on it. Floating-point operators
  /// compute in f32 (sums in f64) whatever width the operands have, and round the result to their type.
  ///
  /// - Parameters:
  ///   - op: The operator.
  ///   - inputs: Its operands; nil is an absent optional one.
  ///   - memoryLimit: Most bytes of the results together (L12).
  /// - Throws: The refusal of the type rule, of an operand's value, or of a limit; the place is empty.
  package static func evaluate(
    op: Op,
    inputs: [Tensor?],
    memoryLimit: Int = .max
  ) throws(Refusal) -> [Tensor] {
    let types = try op.payload.inferTypes(
      inputs.map { tensor in tensor.map { OperandInfo(type: $0.type, constant: $0) } }
    )
    let evaluation = Evaluation(inputs: inputs, types: types, memoryLimit: memoryLimit)
    try evaluation.checkMemory(types)
    if types.allSatisfy({ $0.elementCount == 0 }) { return try evaluation.emptyResults() }
    return try dispatch(op, evaluation)
  }

  private static func dispatch(_ op: Op, _ e: Evaluation) throws(Refusal) -> [Tensor] {
    switch op {
    case .conv(let op): [try op.evaluate(e)]
    case .convTranspose(let op): [try op.evaluate(e)]
    case .gemm(let op): [try op.evaluate(e)]
    case .matMul(let op): [try op.evaluate(e)]
    case .lstm(let op): try RecurrentCell.lstm(op).evaluate(e)
    case .gru(let op): try RecurrentCell.gru(op).evaluate(e)
    case .batchNorm(let op): [try op.evaluate(e)]
    case .layerNorm(let op): [try op.evaluate(e)]
    case .maxPool(let op): [try op.evaluate(e)]
    case .averagePool(let op): [try op.evaluate(e)]
    case .globalPool(let op): [try op.evaluate(e)]
    case .reduce(let op): [try op.evaluate(e)]
    case .argMax(let op): [try op.evaluate(e)]
    case .cumSum(let op): [try op.evaluate(e)]
    case .unary(let op): [try op.evaluate(e)]
    case .clip(let op): [try op.evaluate(e)]
    case .hardSigmoid(let op): [try op.evaluate(e)]
    case .leakyRelu(let op): [try op.evaluate(e)]
    case .elu(let op): [try op.evaluate(e)]
    case .gelu(let op): [try op.evaluate(e)]
    case .binary(let op): [try op.evaluate(e)]
    case .compare(let op): [try op.evaluate(e)]
    case .where(let op): [try op.evaluate(e)]
    case .prelu(let op): [try op.evaluate(e)]
    case .softmax(let op): [try op.evaluate(e)]
    case .cast(let op): [try op.evaluate(e)]
    case .reshape, .flatten, .squeeze, .unsqueeze: [try e.relabelled()]
    case .transpose(let op): [try op.evaluate(e)]
    case .concat(let op): [try op.evaluate(e)]
    case .split(let op): try op.evaluate(e)
    case .slice(let op): [try op.evaluate(e)]
    case .gather(let op): [try op.evaluate(e)]
    case .gatherElements(let op): [try op.evaluate(e)]
    case .gatherND(let op): [try op.evaluate(e)]
    case .scatterND(let op): [try op.evaluate(e)]
    case .expand(let op): [try op.evaluate(e)]
    case .tile(let op): [try op.evaluate(e)]
    case .pad(let op): [try op.evaluate(e)]
    case .shape(let op): [try op.evaluate(e)]
    case .constantOfShape(let op): [try op.evaluate(e)]
    case .range(let op): [try op.evaluate(e)]
    case .resize(let op): [try op.evaluate(e)]
    case .quantizeLinear(let op): [try op.evaluate(e)]
    case .dequantizeLinear(let op): [try op.evaluate(e)]
    case .dequantizeBias(let op): [try op.evaluate(e)]
    case .dequantizeBlocks(let op): [try op.evaluate(e)]
    case .dynamicQuantize(let op): try op.evaluate(e)
    }
  }
}

/// The operands of one operator, checked by its type rule, with the types of its results.
struct Evaluation {
  let inputs: [Tensor?]
  let types: [TensorType]
  /// Most bytes of the results together.
  var memoryLimit = Int.max

  /// The operand at `index`, which the type rule demands.
  func input(_ index: Int) throws(Refusal) -> Tensor {
    guard index < inputs.count, let tensor = inputs[index] else {
      throw Evaluation.refusal("V1", "input \(index) is missing")
    }
    return tensor
  }

  func optional(_ index: Int) -> Tensor? { index < inputs.count ? inputs[index] : nil }

  /// The operand widened to f32.
  func real(_ index: Int) throws(Refusal) -> Tensor { try input(index).widened() }

  func optionalReal(_ index: Int) throws(Refusal) -> Tensor? { try optional(index)?.widened() }

  /// The extents of a result.
  func shape(_ index: Int = 0) throws(Refusal) -> [Int] {
    guard let shape = types[index].knownDims else {
      throw Evaluation.refusal("V1", "the shape of the result is not known: \(types[index])")
    }
    return shape
  }

  /// Results without elements, whose other extents may be huge.
  func emptyResults() throws(Refusal) -> [Tensor] {
    var results: [Tensor] = []
    for index in types.indices {
      let bytes = try unsafe ByteSlice.build(count: 0) { _ throws(Refusal) in }
      guard let tensor = Tensor(types[index].dtype, try shape(index), bytes: bytes) else {
        throw Evaluation.refusal("L3", "\(types[index]) is no empty tensor")
      }
      results.append(tensor)
    }
    return results
  }

  /// The element type of the first result.
  var dtype: DType { types[0].dtype }

  /// The first operand's bytes under the result's shape.
  func relabelled() throws(Refusal) -> Tensor {
    let shape = try shape()
    guard let tensor = try input(0).reshaped(shape) else {
      throw Evaluation.refusal("T-reshape", "\(try input(0).count) elements do not fill the shape \(shape)")
    }
    return tensor
  }

  /// - Throws: L12 when results of these types are larger than ``memoryLimit``.
  func checkMemory(_ types: [TensorType]) throws(Refusal) {
    var total = 0
    for type in types {
      guard let count = type.elementCount else { continue }
      guard let size = Checked.product(count, type.dtype.size), let sum = Checked.sum(total, size),
        sum <= memoryLimit
      else {
        throw Refusal(
          .limit,
          at: "",
          rule: "L12",
          "the result \(type) is larger than the memory limit of \(memoryLimit) bytes",
          remedy: "use a smaller input or a machine with more memory"
        )
      }
      total = sum
    }
  }

  static func refusal(
    _ rule: String,
    _ problem: String,
    remedy: String = "correct the model in its exporter"
  ) -> Refusal {
    Refusal(.invalid, at: "", rule: rule, problem, remedy: remedy)
  }
}
