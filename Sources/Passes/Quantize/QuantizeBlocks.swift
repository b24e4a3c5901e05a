import BinaryIO
import GraphIR
import Quantization

extension Pass {
  /// Stores the weights of matrix products as integers of 2 to 8 bits, with a scale for each block of an output channel.
  ///
  /// Before:                          After:
  ///     %w = constant f32[384, 1536]     %w = constant u8[1536, 192]
  ///     %1 = matmul(%x, %w)              %w.scale = constant f16[1536, 12]
  ///                                      %w.f32 = dequantize_blocks(%w, %w.scale)
  ///                                        {bits = 4, block = 32, depth = 384, transposed = true}
  ///                                      %1 = matmul(%x, %w.f32)
  ///
  /// Blocks run along the axis that is summed over, so a channel's last block may be shorter.
  ///
  /// The matrices of recurrent operators are stored so, too. Not applied to convolutions. Not applied (with a remark): to a constant that is also something other than the weight of
  /// matrix products, or whose users have their channels on different axes; to one that would need a scale beyond f16. NaN
  /// and infinity are refused.
  public static let quantizeBlocks = Pass(
    name: "quantize-blocks",
    summary: "Store the weights of matrix products in 2 to 8 bits, by blocks."
  ) { (graph, context) throws(Refusal) in
    var changed = false
    for id in graph.order {
      guard let matrix = WeightMatrix(graph, id), matrix.channels > 0, matrix.terms > 0,
        let tensor = graph[matrix.weight].constant, tensor.dtype == .float32
      else { continue }
      do throws(Refusal) {
        if try quantize(matrix, tensor, &graph, &context) { changed = true }
      } catch {
        throw error.at("constant \(Refusal.quoted(graph[matrix.weight].name))")
      }
    }
    return changed
  }
}

/// The matrix that a node multiplies by.
private struct WeightMatrix {
  let weight: ValueID
  let channels: Int
  let channelAxis: Int?
  let terms: Int

  /// That of a matrix product or recurrent operator; nil for other nodes.
  init?(_ graph: Graph, _ id: NodeID) {
    if let recurrent = RecurrentNode(graph, id) {
      weight = recurrent.weight
      (channels, channelAxis, terms) = (recurrent.rows, 0, recurrent.hidden)
      return
    }
    guard let linear = LinearNode(graph, id) else { return nil }
    switch linear.op {
    case .gemm, .matMul: break
    default: return nil
    }
    weight = linear.weight
    (channels, channelAxis, terms) = (linear.channels, linear.channelAxis, linear.terms)
  }

  /// Whether a user of the weight multiplies by it with the channels on the same axis.
  func isLike(_ user: NodeID, _ graph: Graph) -> Bool {
    guard let other = WeightMatrix(graph, user), other.channelAxis == channelAxis else { return false }
    return other.weight == weight && graph[user].inputs.count { $0 == weight } == 1
  }
}

private func quantize(
  _ matrix: WeightMatrix,
  _ tensor: Tensor,
  _ graph: inout Graph,
  _ context: inout PassContext
) throws(Refusal) -> Bool {
  let weight = matrix.weight
  let (name, type) = (graph[weight].name, graph[weight].type)
  let place = "constant \(Refusal.quoted(name))"
  guard !graph.isOutput(weight), graph.users(of: weight).allSatisfy({ matrix.isLike($0, graph) }) else {
    context.remark(.missed, at: place, "it is not only a weight of matrix products with channels on one axis")
    return false
  }
  let quantizer = BlockQuantizer(bits: context.options.bits, block: context.options.block)
  let isTransposed = matrix.channelAxis == 1
  guard let result = try quantizer.quantize(tensor, isTransposed: isTransposed, in: context.allocator) else {
    context.remark(.missed, at: place, "a block of it needs a scale beyond f16")
    return false
  }
  tensor.releasePages()
  result.values.releasePages()
  let op = DequantizeBlocks(
    bits: quantizer.bits,
    block: quantizer.block,
    depth: matrix.terms,
    isTransposed: isTransposed
  )
  graph.setConstant(result.values, of: weight)
  let scales = graph.addConstant(graph.uniqueName("\(name).scale"), result.scales)
  let widening = graph.addNode(
    .dequantizeBlocks(op),
    inputs: [weight, scales],
    outputNames: [graph.uniqueName("\(name).f32")],
    outputTypes: [type]
  )
  graph.replaceUses(of: weight, with: graph.result(of: widening), except: widening)
  return true
}
