internal import BinaryIO

extension GraphValidator {
  /// Parameters of the quantization nodes (K1-K5).
  static func checkQuantization(_ graph: Graph) throws(Refusal) {
    for id in graph.order {
      do throws(Refusal) {
        let node = graph[id]
        switch node.op {
        case .quantizeLinear(let op):
          try checkParameters(of: node, axis: op.axis, data: graph.type(of: node, output: 0), in: graph)
        case .dequantizeLinear(let op):
          try checkParameters(of: node, axis: op.axis, data: graph.type(of: node, input: 0), in: graph)
        case .dequantizeBias: try checkBias(of: node, in: graph)
        case .dequantizeBlocks(let op): try checkBlocks(op, of: node, in: graph)
        case .conv, .convTranspose, .gemm, .matMul:
          try checkBiasScale(of: node, in: graph)
          try checkAccumulator(of: node, in: graph)
        case .lstm, .gru, .batchNorm, .layerNorm, .maxPool, .averagePool, .globalPool, .reduce, .argMax,
          .unary, .clip,
          .hardSigmoid, .leakyRelu, .elu, .gelu, .binary, .compare, .where, .prelu, .softmax, .cast, .reshape,
          .flatten, .transpose, .squeeze, .unsqueeze, .concat, .split, .slice, .gather, .expand, .pad, .shape,
          .constantOfShape, .gatherElements, .gatherND, .scatterND, .cumSum, .tile, .range, .resize,
          .dynamicQuantize:
          break
        }
      } catch { throw error.at(graph.label(of: id)) }
    }
  }

  /// Scale (operand 1) and zero point (operand 2) of a node that quantizes to, or dequantizes from, `data`.
  private static func checkParameters(
    of node: Node,
    axis: Int?,
    data: TensorType?,
    in graph: Graph
  ) throws(Refusal) {
    guard let data, let scale = graph.type(of: node, input: 1) else { return }
    try checkScale(of: node, input: 1, in: graph)
    try checkExtent(of: scale, axis: axis, data: data, "scale")
    guard let zeroPoint = graph.type(of: node, input: 2) else { return }
    guard zeroPoint.dtype == data.dtype else {
      throw quantization("K2", "its zero point is \(zeroPoint.dtype.name), its data \(data.dtype.name)")
    }
    try checkExtent(of: zeroPoint, axis: axis, data: data, "zero point")
    guard data.dtype == .int32, let id = node.inputs[2], let values = graph[id].constant?.intValues() else {
      return
    }
    guard values.allSatisfy({ $0 == 0 }) else {
      throw quantization("K2", "its zero point is not 0, but its data is i32")
    }
  }

  /// K1: constant scales are finite and from 2^-126 to 2^64.
  private static func checkScale(of node: Node, input: Int, in graph: Graph) throws(Refusal) {
    guard input < node.inputs.count, let id = node.inputs[input],
      let scales = graph[id].constant?.floatValues()
    else { return }
    let legal = Float.leastNormalMagnitude...0x1p64
    guard let channel = scales.firstIndex(where: { !legal.contains($0) }) else { return }
    throw quantization(
      "K1",
      "scale \(scales[channel]) of channel \(channel) is not between 2^-126 and 2^64"
    )
  }

  /// K3: one parameter per tensor, or one per entry of the channel axis.
  private static func checkExtent(
    of parameter: TensorType,
    axis: Int?,
    data: TensorType,
    _ what: String
  ) throws(Refusal) {
    guard parameter.rank > 0, parameter.elementCount != 1 || axis != nil else { return }
    if axis == nil, parameter.rank >= 2, parameter.rank == data.rank, parameter.dims.last == 1 { return }
    guard let axis else {
      throw quantization("K3", "its \(what) is \(parameter), but no axis is given")
    }
    guard parameter.rank == 1 else {
      throw quantization("K3", "its \(what) has rank \(parameter.rank), must be 1")
    }
    guard axis >= -data.rank, axis < data.rank else {
      throw quantization("K3", "its axis is \(axis), its data has rank \(data.rank)")
    }
    let extent = data.dims[axis < 0 ? axis + data.rank : axis]
    guard let channels = extent.value, let count = parameter.elementCount, count != channels else { return }
    throw quantization("K3", "its \(what) has \(count) entries, axis \(axis) of its data \(channels)")
  }

  /// An i32 bias with two legal scales.
  private static func checkBias(of node: Node, in graph: Graph) throws(Refusal) {
    guard let data = graph.type(of: node, input: 0) else { return }
    guard data.dtype == .int32 else {
      throw quantization("K4", "its data is \(data.dtype.name), must be i32")
    }
    try checkScale(of: node, input: 1, in: graph)
    try checkScale(of: node, input: 2, in: graph)
    if let scale = graph.type(of: node, input: 1), scale.rank > 0, scale.elementCount != 1 {
      throw quantization("K4", "its activation scale is \(scale), must be a scalar")
    }
    if let scale = graph.type(of: node, input: 2), scale.rank > 0, scale.elementCount != 1 {
      try checkExtent(of: scale, axis: 0, data: data, "weight scale")
    }
  }

  static func quantization(_ rule: String, _ problem: String) -> Refusal {
    Refusal(
      .invalid,
      at: "",
      rule: rule,
      problem,
      remedy: "quantize the model again; its quantization parameters are unusable"
    )
  }
}

extension Graph {
  /// Type of an operand; nil if it is absent.
  func type(of node: Node, input index: Int) -> TensorType? {
    guard index < node.inputs.count, let id = node.inputs[index] else { return nil }
    return self[id].type
  }

  func type(of node: Node, output index: Int) -> TensorType? {
    index < node.outputs.count ? self[node.outputs[index]].type : nil
  }

  /// The node that makes an operand; nil for inputs, constants and absent operands.
  func producer(of node: Node, input index: Int) -> Node? {
    guard index < node.inputs.count, let id = node.inputs[index], let producer = self[id].producer else {
      return nil
    }
    return self[producer]
  }

  /// The constant elements of an operand as floats.
  func floats(of node: Node, input index: Int) -> [Float]? {
    guard index < node.inputs.count, let id = node.inputs[index] else { return nil }
    return self[id].constant?.floatValues()
  }
}
