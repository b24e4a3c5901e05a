import BinaryIO
import GraphIR

extension NodeExporter {
  /// Appends what the node is in ONNX.
  ///
  /// - Throws: A refusal for what ONNX has no words for.
  func export() throws(Refusal) {
    switch node.op {
    case .conv(let op): try export(op)
    case .convTranspose(let op): try export(op)
    case .gemm(let op): try export(op)
    case .matMul: try finish("MatMul", inputs())
    case .lstm(let op): try export(op)
    case .gru(let op): try export(op)
    case .batchNorm(let op):
      try finish("BatchNormalization", inputs(), Attributes(("epsilon", .float(op.epsilon))))
    case .layerNorm(let op):
      try finish(
        "LayerNormalization",
        inputs(),
        Attributes(("axis", .int(op.axis)), ("epsilon", .float(op.epsilon)))
      )
    case .maxPool(let op): try export(op)
    case .averagePool(let op): try export(op)
    case .globalPool(let op): try export(op)
    case .reduce(let op): try export(op)
    case .argMax(let op):
      try finish(
        "ArgMax",
        inputs(),
        Attributes(("axis", .int(op.axis)), ("keepdims", .int(op.keepDims ? 1 : 0)))
      )
    case .cumSum(let op): try export(op)
    case .unary(let op): try export(op)
    case .clip(let op): try finish(.clip(min: op.min, max: op.max), input(0))
    case .hardSigmoid(let op): try finish(.hardSigmoid(alpha: op.alpha, beta: op.beta), input(0))
    case .leakyRelu(let op): try finish(.leakyRelu(alpha: op.alpha), input(0))
    case .elu(let op):
      let alpha = ("alpha", AttributeValue.float(op.alpha))
      guard op.scale != 1 else { return try finish("Elu", inputs(), Attributes(alpha)) }
      try finish("Selu", inputs(), Attributes(alpha, ("gamma", .float(op.scale))))
    case .gelu(let op):
      try finish("Gelu", inputs(), Attributes(("approximate", .string(op.isTanh ? "tanh" : "none"))))
    case .binary(let op): try export(op)
    case .compare(let op): try export(op)
    case .where: try finish("Where", inputs())
    case .prelu: try finish("PRelu", inputs())
    case .softmax(let op):
      try finish(op.isLog ? "LogSoftmax" : "Softmax", inputs(), Attributes(("axis", .int(op.axis))))
    case .cast(let op): try finish("Cast", inputs(), Attributes(("to", .int(Int(op.to.rawValue)))))
    case .reshape(let op): try export(op)
    case .flatten(let op): try finish("Flatten", inputs(), Attributes(("axis", .int(op.axis))))
    case .transpose(let op): try finish("Transpose", inputs(), Attributes(("perm", .ints(op.perm))))
    case .squeeze(let op): try finish("Squeeze", [input(0), list(op.axes, or: 1, "axes")])
    case .unsqueeze(let op): try finish("Unsqueeze", [input(0), list(op.axes, or: 1, "axes")])
    case .concat(let op): try finish("Concat", inputs(), Attributes(("axis", .int(op.axis))))
    case .split(let op):
      try finish("Split", [input(0), list(op.sizes, or: 1, "sizes")], Attributes(("axis", .int(op.axis))))
    case .slice(let op): try export(op)
    case .gather(let op): try finish("Gather", inputs(), Attributes(("axis", .int(op.axis))))
    case .gatherElements(let op):
      try finish("GatherElements", inputs(), Attributes(("axis", .int(op.axis))))
    case .gatherND(let op):
      try finish("GatherND", [input(0), indices()], Attributes(("batch_dims", .int(op.batchDims))))
    case .scatterND: try finish("ScatterND", [input(0), indices(), input(2)])
    case .tile(let op): try finish("Tile", [input(0), list(op.repeats, or: 1, "repeats")])
    case .expand(let op): try finish("Expand", [input(0), list(op.shape, or: 1, "shape")])
    case .pad(let op): try export(op)
    case .shape(let op): try export(op)
    case .constantOfShape(let op): try finish("Expand", [scalar(op.value, op.dtype, "value"), input(0)])
    case .range: try finish("Range", inputs())
    case .resize(let op): try export(op)
    case .quantizeLinear(let op): try export(op)
    case .dequantizeLinear(let op): try export(op)
    case .dequantizeBias: try exportBias()
    case .dequantizeBlocks(let op): try export(op)
    case .dynamicQuantize(let op): try export(op)
    }
  }

  /// Vectors of indices, which ONNX wants as i64.
  private func indices() -> String {
    type(1).dtype == .int64 ? input(1) : cast(input(1), to: .int64, "indices")
  }

  /// A list of integers as an operand: an attribute, or what the graph computes.
  func list(_ values: [Int]?, or index: Int, _ suffix: String) throws(Refusal) -> String {
    guard let values else { return input(index) }
    return try ints(values, suffix)
  }
}
