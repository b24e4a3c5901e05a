import BinaryIO
package import GraphIR
package import Quantization

/// A linear node with an i8 weight, and data that are quantized statically or float, as recovery passes edit it.
package struct QuantizedLayer: Sendable {
  package let id: NodeID
  /// What the node multiplies: the dequantized or float data.
  package let data: ValueID
  /// Groups of channels.
  package let groups: Int
  /// Output channels.
  package let channels: Int
  /// Products summed for one output.
  package let length: Int
  /// Whether the weight has one scale per channel.
  let isPerChannel: Bool
  private let linear: LinearNode
  private let weight: ValueID
  private let scale: ValueID
  /// The scale of the data; nil: they are float.
  private let inputScale: ValueID?
  /// Whether the weight's rows are inputs and its columns outputs.
  private let isTransposed: Bool

  /// The layer of a node; nil where the node is none, shares its weight, is a transposed convolution, or its data are quantized
  /// while the network runs.
  package init?(_ graph: Graph, _ id: NodeID) {
    guard let linear = LinearNode(graph, id),
      let (_, node) = graph.producer(of: linear.weight), case .dequantizeLinear(let op) = node.op,
      node.inputs.count == 2 || node.inputs[2] == nil, let weight = node.inputs[0],
      let scale = node.inputs[1],
      graph.constant(weight)?.dtype == .int8, graph.hasSingleUse(weight), graph.hasSingleUse(linear.weight),
      let scales = graph.constant(scale), scales.dtype == .float32,
      scales.count == (op.axis == nil ? 1 : linear.channels)
    else { return nil }
    if case .dequantizeLinear? = graph.producer(of: linear.data)?.node.op {
      guard linear.staticInputScale(graph) != nil else { return nil }
      inputScale = graph.producer(of: linear.data)?.node.inputs[1]
    } else {
      inputScale = nil
    }
    switch linear.op {
    case .conv(let op): groups = op.group
    case .gemm(let op):
      guard op.alpha == 1, op.beta == 1, !op.transA else { return nil }
      groups = 1
    case .matMul: groups = 1
    default: return nil
    }
    isTransposed = linear.isTransposed
    self.id = id
    self.linear = linear
    self.data = linear.data
    self.weight = weight
    self.scale = scale
    channels = linear.channels
    length = linear.terms
    isPerChannel = op.axis != nil
  }

  /// Whether the operator adds a bias.
  var takesBias: Bool {
    if case .matMul = linear.op { return false }
    return true
  }

  /// Output channels of one group.
  var channelsPerGroup: Int { channels / max(groups, 1) }

  /// The place of a weight in its tensor.
  func index(_ channel: Int, _ term: Int) -> Int {
    isTransposed ? term * channels + channel : channel * length + term
  }

  /// One row of an f32 tensor with the weight's shape.
  func row(_ channel: Int, of values: [Float]) -> [Double] {
    (0..<length).map { Double(values[index(channel, $0)]) }
  }

  func integers(_ graph: Graph) -> [Int8] { graph.constant(weight)?.elements(as: Int8.self) ?? [] }

  func scales(_ graph: Graph) -> [Float] { graph.constant(scale)?.elements(as: Float.self) ?? [] }

  /// The least scale of each channel at which a bias fits; empty where every scale will do.
  func scaleFloors(_ graph: Graph, bias: [Float]) -> [Float] {
    guard let inputScale = linear.staticInputScale(graph) else { return [] }
    return BiasQuantizer.weightScaleFloors(
      bias: takesBias ? bias : nil,
      channels: channels,
      inputScale: inputScale,
      terms: length
    )
  }

  /// Replaces weights and scales; the bias must follow, since its scale depends on theirs.
  func setWeight(_ integers: [Int8], _ scales: [Float], in graph: inout Graph) throws(Refusal) {
    guard let old = graph.constant(weight), let oldScales = graph.constant(scale) else { return }
    graph.setConstant(try Tensor.make(.int8, old.shape, integers), of: weight)
    let values = try Tensor.floats(scales, oldScales.shape)
    guard graph.users(of: scale).allSatisfy({ isOwn($0, graph) }) else { return }
    graph.setConstant(values, of: scale)
  }

  /// Replaces the bias by these numbers, beside quantized data by i32 values nearest to them.
  ///
  /// - Returns: Whether it fits the accumulator; nothing changes otherwise.
  func setBias(_ bias: [Float], in graph: inout Graph) throws(Refusal) -> Bool {
    guard takesBias else { return false }
    guard let inputScale, let scale = linear.staticInputScale(graph) else {
      try linear.setBias(bias, in: &graph)
      return true
    }
    let tensor: Tensor
    do {
      tensor = try BiasQuantizer.quantize(
        bias,
        inputScale: scale,
        weightScales: scales(graph),
        terms: length
      )
    } catch {
      return false
    }
    if let (_, node) = graph.producer(of: linear.bias), let stored = node.inputs[0],
      graph.hasSingleUse(stored)
    {
      graph.setConstant(tensor, of: stored)
      return true
    }
    let name = graph[weight].name
    let stored = graph.addConstant(graph.uniqueName("\(name).bias"), tensor)
    let widening = graph.addNode(
      .dequantizeBias(DequantizeBias()),
      inputs: [stored, inputScale, self.scale],
      outputNames: ["\(name).bias.dq"],
      outputTypes: [TensorType(.float32, known: [channels])]
    )
    graph.setInputs([linear.data, linear.weight, graph.result(of: widening)], of: id)
    return true
  }

  /// Whether a user of the weight's scales belongs to this layer.
  private func isOwn(_ user: NodeID, _ graph: Graph) -> Bool {
    let result = graph.result(of: user)
    return result == linear.weight || result == linear.bias
  }

  /// Whether nothing but this layer uses the scales, so that they can be replaced.
  func ownsScales(_ graph: Graph) -> Bool { graph.users(of: scale).allSatisfy { isOwn($0, graph) } }

  /// The bias that makes the mean of every output what it was in float: `b + W E[x] − Ŵ E[y]`.
  func correctedBias(_ evidence: LayerEvidence, _ graph: Graph) -> [Float] {
    let float = evidence.weight.elements(as: Float.self)
    let integers = integers(graph)
    let scales = scales(graph)
    return (0..<channels).map { channel in
      let group = channel / channelsPerGroup
      let wanted = Array(evidence.means.float(group))
      let given = Array(evidence.means.quantized(group))
      let scale = Double(scales[isPerChannel ? channel : 0])
      var sum = Double(evidence.bias[channel])
      for term in 0..<length {
        let place = index(channel, term)
        sum += Double(float[place]) * wanted[term] - Double(integers[place]) * scale * given[term]
      }
      return Float(sum)
    }
  }
}

extension QuantizedLayer {
  /// The layers of a graph, in order.
  package static func all(in graph: Graph) -> [QuantizedLayer] {
    graph.order.compactMap { QuantizedLayer(graph, $0) }
  }

  /// What recovery needs of the float network a layer was made from, and of what both read.
  ///
  /// Nodes keep their ids while a graph is quantized.
  ///
  /// - Returns: nil where the float network has no such node.
  package func evidence(from float: Graph, _ means: PatchMeans, _ table: PatchTable?) -> LayerEvidence? {
    guard float.contains(id), let linear = LinearNode(float, id), let weight = linear.constantWeight(float),
      let bias = linear.biasValues(float), linear.channels == channels, linear.terms == length
    else { return nil }
    return LayerEvidence(weight: weight, bias: bias, means: means, table: table)
  }

  /// The u8 value behind ``data``, with its parameters; nil where the data are float.
  package func integerData(in graph: Graph) -> (value: ValueID, params: QuantParams)? {
    guard let (_, node) = graph.producer(of: data), let value = node.inputs[0],
      let scale = graph.scalar(node.inputs[1]), graph[value].type.dtype == .uint8
    else { return nil }
    let zeroPoint = node.inputs.count > 2 ? graph.constant(node.inputs[2])?.intValues()?.first ?? 0 : 0
    guard let params = try? QuantParams(scale: scale, zeroPoint: zeroPoint, dtype: .uint8) else { return nil }
    return (value, params)
  }

  /// The activation that the operator applies to its result.
  var activation: Activation { linear.activation }

  /// The value that the float node reads.
  package func floatData(in float: Graph) -> ValueID? {
    float.contains(id) ? LinearNode(float, id)?.data : nil
  }
}
