import BinaryIO
import GraphIR
import Quantization

extension Pass {
  /// Stores tables that `gather` picks rows from as i8, with a scale for each row.
  ///
  /// Before:                            After:
  ///     %t = constant f32[1000, 64]        %t = constant i8[1000, 64]
  ///     %1 = gather(%t, %i)                %t.scale = constant f32[1000, 1]
  ///                                        %1.q = gather(%t, %i)
  ///                                        %1.scale = gather(%t.scale, %i)
  ///                                        %1 = dequantize_linear(%1.q, %1.scale)
  ///
  /// Only the rows that are picked are widened, so the table stays small in memory, too.
  ///
  /// Not applied: to tables of fewer than 1,024 rows or of one column, whose bytes do not count. Not applied (with a remark): to a table that
  /// is also something else than the first operand of a gather of rows; to an output of the graph.
  public static let quantizeTables = Pass(
    name: "quantize-tables",
    summary: "Store embedding tables as i8, with a scale for each row."
  ) { (graph, context) throws(Refusal) in
    var changed = false
    for id in graph.valueIDs where isTable(id, graph) {
      guard !graph.isOutput(id), graph.users(of: id).allSatisfy({ picksRows($0, of: id, graph) }) else {
        context.remark(
          .missed,
          at: "constant \(Refusal.quoted(graph[id].name))",
          "it is not only a table that rows are picked from"
        )
        continue
      }
      try quantize(id, &graph, &context)
      changed = true
    }
    return changed
  }
}

/// Whether a constant is a large f32 matrix that some gather picks rows from.
private func isTable(_ id: ValueID, _ graph: Graph) -> Bool {
  guard let tensor = graph[id].constant, tensor.dtype == .float32, tensor.shape.count == 2,
    tensor.shape[0] >= 1_024, tensor.shape[1] > 1
  else { return false }
  return graph.users(of: id).contains { picksRows($0, of: id, graph) }
}

private func picksRows(_ user: NodeID, of table: ValueID, _ graph: Graph) -> Bool {
  guard case .gather(let op) = graph[user].op, op.axis == 0 || op.axis == -2,
    graph[user].inputs[0] == table, let indices = graph[user].inputs[1], indices != table
  else { return false }
  return graph[indices].type.rank > 0
}

private func quantize(
  _ table: ValueID,
  _ graph: inout Graph,
  _ context: inout PassContext
) throws(Refusal) {
  let name = graph[table].name
  guard let tensor = graph[table].constant else { return }
  let result: QuantizedWeight
  do throws(Refusal) {
    result = try WeightQuantizer.quantize(tensor, axis: 0, in: context.allocator)
  } catch {
    throw error.at("constant \(Refusal.quoted(name))")
  }
  tensor.releasePages()
  result.values.releasePages()
  guard let column = result.scales.reshaped([tensor.shape[0], 1]) else { return }
  graph.setConstant(result.values, of: table)
  let scales = graph.addConstant(graph.uniqueName("\(name).scale"), column)
  for user in graph.users(of: table) { dequantize(user, scales, &graph) }
}

/// Lets a gather of i8 rows be followed by their dequantization, which takes its name.
private func dequantize(_ gather: NodeID, _ scales: ValueID, _ graph: inout Graph) {
  let rows = graph.result(of: gather)
  let (name, type) = (graph[rows].name, graph[rows].type)
  graph.rename(rows, to: "\(name).q")
  graph.setType(TensorType(.int8, type.dims), of: rows)
  let picked = graph.addNode(
    graph[gather].op,
    inputs: [scales, graph[gather].inputs[1]],
    outputNames: ["\(name).scale"],
    outputTypes: [TensorType(.float32, type.dims.dropLast() + [1])]
  )
  let dequantize = graph.addNode(
    .dequantizeLinear(DequantizeLinear()),
    inputs: [rows, graph.result(of: picked)],
    outputNames: [name],
    outputTypes: [type]
  )
  graph.replaceUses(of: rows, with: graph.result(of: dequantize), except: dequantize)
}
