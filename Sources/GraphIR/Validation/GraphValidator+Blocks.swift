internal import BinaryIO

extension GraphValidator {
  /// K8: scales of blocks are finite and not 0, and the bits behind the last number of a row are 0.
  static func checkBlocks(_ op: DequantizeBlocks, of node: Node, in graph: Graph) throws(Refusal) {
    if let scales = graph.floats(of: node, input: 1),
      let block = scales.firstIndex(where: { !$0.isFinite || $0 == 0 })
    {
      throw quantization("K8", "scale \(scales[block]) of block \(block) is 0 or not finite")
    }
    let used = (op.depth &* op.bits) % 8
    guard used > 0, let id = node.inputs[0], let packed = graph[id].constant, packed.dtype == .uint8,
      packed.shape.count == 2, let width = packed.shape.last, width > 0
    else { return }
    let wrong = unsafe packed.withElements(as: UInt8.self) { bytes in
      (0..<packed.shape[0]).first { unsafe bytes[$0 * width + width - 1] >> UInt8(used) != 0 }
    }
    guard let wrong else { return }
    throw quantization("K8", "row \(wrong) has bits behind its last number")
  }
}
