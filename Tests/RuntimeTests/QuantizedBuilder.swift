import BinaryIO
import GraphIR
import Runtime
import TestSupport

/// Builds small quantized graphs for tests of lowered steps.
struct QuantizedBuilder {
  var graph = Graph(name: "test")
  private(set) var inputs: [Tensor] = []

  /// A u8 graph input behind a dequantize stub.
  mutating func activation(_ tensor: Tensor, _ affine: Affine) throws -> ValueID {
    let id = graph.addInput("x", tensor.type)
    inputs.append(tensor)
    return try node(.dequantizeLinear(DequantizeLinear()), [id] + stub(affine))
  }

  /// An f32 graph input behind a dynamic quantization.
  mutating func dynamicActivation(_ tensor: Tensor) throws -> ValueID {
    let id = graph.addInput("x", tensor.type)
    inputs.append(tensor)
    let q = try graph.addNode(
      .dynamicQuantize(DynamicQuantize()),
      inputs: [id],
      outputNames: ["q", "s", "z"]
    )
    return try node(.dequantizeLinear(DequantizeLinear()), graph[q].outputs)
  }

  /// An i8 constant behind a dequantize stub.
  mutating func weight(_ tensor: Tensor, _ scales: [Float], axis: Int) throws -> (ValueID, scale: ValueID) {
    let id = graph.addConstant("w", tensor)
    let scale = graph.addConstant("ws", try .floats(scales))
    return (try node(.dequantizeLinear(DequantizeLinear(axis: axis)), [id, scale]), scale)
  }

  /// An i32 constant behind its stub.
  mutating func bias(_ values: [Int32], input: Affine, weightScale: ValueID) throws -> ValueID {
    let id = graph.addConstant("b", try .make(.int32, [values.count], values))
    let scale = graph.addConstant("s", try .floats([input.scale], []))
    return try node(.dequantizeBias(DequantizeBias()), [id, scale, weightScale])
  }

  mutating func node(_ op: Op, _ inputs: [ValueID?]) throws -> ValueID {
    let id = try graph.addNode(op, inputs: inputs, outputNames: ["v"])
    return graph[id].outputs[0]
  }

  /// A graph output behind a quantize stub.
  mutating func quantizedOutput(_ id: ValueID, _ affine: Affine) throws {
    graph.addOutput(try node(.quantizeLinear(QuantizeLinear()), [id] + stub(affine)))
  }

  private mutating func stub(_ affine: Affine) throws -> [ValueID] {
    [
      graph.addConstant("s", try .floats([affine.scale], [])),
      graph.addConstant("z", try .make(.uint8, [], [affine.zeroPoint])),
    ]
  }

  /// Lowers the graph, expects the kinds of its steps, and runs it.
  func run(expecting kinds: [String]) throws -> [Tensor] {
    let program = Lowering.lower(graph)
    let found = program.steps.map(\.kind.name)
    guard found == kinds else {
      throw TestFailure("steps \(found), expected \(kinds); \(program.steps.compactMap(\.reason))")
    }
    return try ReferenceExecutor(program).run(inputs, observing: []) { (_, _) throws(Refusal) in }
  }

  /// Runs every node as it is, without lowering.
  func runFloat() throws -> [Tensor] {
    var values: [ValueID: Tensor] = [:]
    for (id, tensor) in zip(graph.inputs, inputs) { values[id] = tensor }
    for id in graph.order {
      let node = graph[id]
      let operands = node.inputs.map { id in id.flatMap { values[$0] ?? graph[$0].constant } }
      for (output, tensor) in zip(node.outputs, try Reference.evaluate(op: node.op, inputs: operands)) {
        values[output] = tensor
      }
    }
    return graph.outputs.compactMap { values[$0] }
  }
}

extension SplitMix64 {
  mutating func affine() -> Affine {
    Affine(scale: float(0.005...0.1), zeroPoint: UInt8([0, 255, 128, int(0...255)][int(0...3)]))
  }

  mutating func bytes(_ shape: [Int]) throws -> Tensor { try ints(.uint8, shape, in: 0...255) }

  mutating func weights(_ shape: [Int]) throws -> Tensor { try ints(.int8, shape, in: -128...127) }

  mutating func scales(_ count: Int) -> [Float] { (0..<count).map { _ in float(0.001...0.02) } }

  mutating func biases(_ count: Int) -> [Int32] { (0..<count).map { _ in Int32(int(-20_000...20_000)) } }
}

/// Coordinates of a flat index in C order.
func coordinates(_ index: Int, _ shape: [Int]) -> [Int] {
  var rest = index
  var result: [Int] = []
  for extent in shape.reversed() {
    result.insert(rest % extent, at: 0)
    rest /= extent
  }
  return result
}

/// The flat index of coordinates in C order, or nil outside of the shape.
func flat(_ coordinates: [Int], _ shape: [Int]) -> Int? {
  var result = 0
  for (coordinate, extent) in zip(coordinates, shape) {
    guard coordinate >= 0 && coordinate < extent else { return nil }
    result = result * extent + coordinate
  }
  return result
}
