internal import GraphIR

/// Shape operators that move bytes.
extension Lowering {
  func passThrough(_ id: NodeID) throws(Miss) -> Step {
    let node = graph[id]
    let operand = try activation(node.inputs[0])
    let padByte = try movedPadding(node.op, operand.affine)
    var outputs: [ValueID] = []
    var tables: [[UInt8]?] = []
    var nodes = [id]
    for output in node.outputs {
      let chain = try outputChain(output)
      outputs.append(chain.id)
      tables.append(moveTable(from: operand.affine, chain))
      nodes += chain.nodes
    }
    return Step(
      .passThrough(PassThrough(op: node.op, padByte: padByte, tables: tables)),
      inputs: [operand.id] + node.inputs.dropFirst(),
      outputs: outputs,
      nodes: nodes
    )
  }

  /// The byte that stands for a constant padding; refuses operators that compute.
  private func movedPadding(_ op: Op, _ affine: Affine) throws(Miss) -> UInt8 {
    switch op {
    case .pad(let pad) where pad.mode == .constant:
      let byte = IntegerArithmetic.quantize(pad.value, affine)
      guard IntegerArithmetic.dequantize(byte, affine) == pad.value else {
        throw Miss("the padding \(pad.value) is no quantized value")
      }
      return byte
    case .resize(let resize) where resize.mode != .nearest:
      throw Miss("resize has an integer form only by nearest neighbour")
    default: return affine.zeroPoint
    }
  }
}
