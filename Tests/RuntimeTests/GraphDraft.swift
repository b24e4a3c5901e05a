import BinaryIO
import GraphIR
import TestSupport

/// Builds small networks with random constants.
struct GraphDraft {
  var graph = Graph(name: "draft")
  var random: SplitMix64
  /// Whether ``conv(_:outputs:kernel:_:)`` and ``gemm(_:outputs:)`` make quantized layers.
  var scheme = Scheme.float
  /// Whether dynamic gemms have parameters per row.
  var isPerRow = false
  /// Of the stubs of the static scheme; nil for random ones.
  var stubParameters: (scale: Float, zeroPoint: UInt8)?

  enum Scheme: CaseIterable {
    case float
    case staticInteger
    case dynamicInteger
    case half
  }

  init(seed: UInt64, _ scheme: Scheme = .float) {
    random = SplitMix64(seed: seed)
    self.scheme = scheme
  }

  /// Extents, 0 for those that a run decides.
  func shape(_ id: ValueID) -> [Int] { graph[id].type.dims.map { $0.value ?? 0 } }

  mutating func constant(_ name: String, _ tensor: Tensor) -> ValueID {
    graph.addConstant(graph.uniqueName(name), tensor)
  }

  mutating func node(_ op: Op, _ inputs: [ValueID?]) throws -> ValueID {
    let name = graph.uniqueName("v")
    let id = try graph.addNode(op, inputs: inputs, outputNames: [name])
    return graph[id].outputs[0]
  }

  mutating func parameters(_ scale: Float, _ zeroPoint: UInt8) throws -> [ValueID] {
    [
      constant("s", try .make(.float32, [], [scale])), constant("z", try .make(.uint8, [], [zeroPoint])),
    ]
  }

  /// A quantize stub and the dequantize stub behind it, where the scheme is static.
  mutating func stubs(_ x: ValueID, scale: Float? = nil) throws -> ValueID {
    guard scheme == .staticInteger else { return x }
    let (scale, zeroPoint) =
      stubParameters ?? (scale ?? random.float(0.01...0.06), UInt8(random.int(0...255)))
    let parameters = try parameters(scale, zeroPoint)
    let q = try node(.quantizeLinear(QuantizeLinear()), [x] + parameters)
    return try node(.dequantizeLinear(DequantizeLinear()), [q] + parameters)
  }

  mutating func conv(_ x: ValueID, outputs: Int, kernel: [Int], _ op: Conv) throws -> ValueID {
    let weightShape = [outputs, shape(x)[1] / op.group] + kernel
    let (input, w, b) = try operands(x, weightShape, axis: 0)
    return try stubs(node(.conv(op), [input, w, b]))
  }

  mutating func convTranspose(
    _ x: ValueID,
    outputs: Int,
    kernel: [Int],
    _ op: ConvTranspose
  ) throws -> ValueID {
    let weightShape = [shape(x)[1], outputs / op.group] + kernel
    let (input, w, b) = try operands(x, weightShape, axis: 1, outputs: outputs)
    return try stubs(node(.convTranspose(op), [input, w, b]))
  }

  mutating func gemm(_ x: ValueID, outputs: Int) throws -> ValueID {
    let (input, w, b) = try operands(x, [outputs, shape(x).last ?? 1], axis: 0)
    return try stubs(node(.gemm(Gemm(transB: true)), [input, w, b]))
  }

  /// The operands of a linear layer: its input behind what the scheme wants, weights, bias.
  private mutating func operands(
    _ x: ValueID,
    _ weightShape: [Int],
    axis: Int,
    outputs: Int? = nil
  ) throws -> (ValueID, ValueID, ValueID) {
    let outputs = outputs ?? weightShape[axis]
    let fanIn = Float(weightShape.dropFirst().reduce(1, *))
    let bias = constant("b", try random.floats([outputs]))
    switch scheme {
    case .float:
      let limit = 2 / fanIn.squareRoot()
      return (x, constant("w", try random.floats(weightShape, in: -limit...limit)), bias)
    case .half:
      let halves = (0..<weightShape.reduce(1, *)).map { _ in Float16(random.float() / fanIn.squareRoot()) }
      let w = constant("w", try .make(.float16, weightShape, halves))
      return (x, try node(.cast(Cast(to: .float32)), [w]), bias)
    case .staticInteger, .dynamicInteger:
      let q = constant("wq", try random.ints(.int8, weightShape, in: -127...127))
      let scales = constant("ws", try random.floats([outputs], in: 0.005...0.01))
      let w = try node(.dequantizeLinear(DequantizeLinear(axis: axis)), [q, scales])
      guard scheme == .staticInteger else { return (try dynamic(x), w, bias) }
      guard let stub = graph[x].producer, case .dequantizeLinear = graph[stub].op else {
        throw TestFailure("a static layer needs a quantized input")
      }
      let bq = constant("bq", try random.ints(.int32, [outputs], in: -3000...3000))
      return (x, w, try node(.dequantizeBias(DequantizeBias()), [bq, graph[stub].inputs[1], scales]))
    }
  }

  private mutating func dynamic(_ x: ValueID) throws -> ValueID {
    let names = ["q", "s", "z"].map { graph.uniqueName("dynamic_\($0)") }
    let id = try graph.addNode(
      .dynamicQuantize(DynamicQuantize(perRow: isPerRow)),
      inputs: [x],
      outputNames: names
    )
    return try node(.dequantizeLinear(DequantizeLinear()), graph[id].outputs.map(Optional.some))
  }
}
