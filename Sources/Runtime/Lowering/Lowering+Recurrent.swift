internal import BinaryIO
internal import GraphIR

/// Recurrent operators.
extension Lowering {
  /// The integer step of a recurrence whose state is quantized dynamically; nil where it is not.
  func recurrence(_ id: NodeID, _ cell: RecurrentCell) throws(Miss) -> Step? {
    guard cell.recurrence.isDynamic else { return nil }
    let node = graph[id]
    let weight = try weight(node.inputs[1], axis: 0)
    guard let terms = weight.tensor.shape.last, terms <= Int(Int32.max) / (128 * 255) else {
      throw Miss("the accumulator could exceed 32 bits (K5)")
    }
    let kind = DynamicRecurrence(cell: cell, weights: weight.tensor, weightScales: weight.scales)
    let operands = node.inputs.prefix(1) + node.inputs.dropFirst(2)
    return Step(.dynamicRecurrence(kind), inputs: Array(operands), outputs: node.outputs, nodes: [id])
  }
}
