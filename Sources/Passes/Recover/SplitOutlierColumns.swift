import BinaryIO
import GraphIR
import Quantization

extension Pass {
  /// Lets the loudest columns of a matrix product stay float, beside the others in integers.
  ///
  /// Before:                         After:
  ///     %1 = gemm(%x, %w, %b)           %rest = mul(%x, %mask)
  ///                                     %main = gemm(%rest, %w', %b)
  ///                                     %loud = gather(%x, %columns) {axis = -1}
  ///                                     %side = gemm(%loud, %w.loud) {trans_b = 1}
  ///                                     %1 = add(%main, %side)
  ///
  /// `%mask` is 0 in the loud columns and 1 elsewhere, `%w'` is 0 there. Loud are the columns whose largest magnitude on
  /// calibration data is above six times the median of all, at most one in a hundred.
  ///
  /// Not applied: to layers without samples of what they read, with fewer than a hundred columns, a shared weight or an activation
  /// of their own; where the error of the products on calibration data does not halve, since every split costs time.
  public static let splitOutlierColumns = Pass(
    name: "split-outlier-columns",
    summary: "Keep the loudest columns of matrix products in float, for --outlier-columns."
  ) { (graph, context) throws(Refusal) in
    guard context.options.splitsOutliers else { return false }
    var changed = false
    for id in graph.order where context.kept[id] == nil {
      guard let linear = LinearNode(graph, id), let sample = context.activations[linear.data],
        sample.width == linear.terms, linear.isPlainMatrix, graph.hasSingleUse(linear.weight),
        let trial = QuantizationTrial(linear, graph, sample, context)
      else { continue }
      let columns = loudColumns(sample.peaks)
      guard !columns.isEmpty else { continue }
      let ones = [Float](repeating: 1, count: linear.terms)
      let before = trial.error(dividedBy: ones)
      let after = trial.error(dividedBy: ones, excluding: columns)
      guard after < 0.5 * before else {
        context.missed(graph, id, "\(columns.count) loud columns in float would gain less than 3 dB")
        continue
      }
      let place = graph.label(of: id)
      try split(linear, columns, &graph, &context)
      let list = columns.prefix(8).map(String.init).joined(separator: ", ") + (columns.count > 8 ? ", …" : "")
      context.remark(
        .applied,
        at: place,
        "columns \(list) of \(linear.terms) stay float: the error is \(decibels(after, trial.signal)), it was "
          + decibels(before, trial.signal)
      )
      changed = true
    }
    return changed
  }
}

/// The columns above six times the median magnitude, at most one in a hundred, the loudest ones, in order.
private func loudColumns(_ peaks: [Float]) -> [Int] {
  let median = peaks.sorted()[peaks.count / 2]
  let loud = peaks.indices.filter { peaks[$0] > 6 * median }
  return loud.sorted { (-peaks[$0], $0) < (-peaks[$1], $1) }.prefix(peaks.count / 100).sorted()
}

private func split(
  _ linear: LinearNode,
  _ columns: [Int],
  _ graph: inout Graph,
  _ context: inout PassContext
) throws(Refusal) {
  guard let weight = linear.constantWeight(graph) else { return }
  let result = graph.result(of: linear.id)
  let (name, type) = (graph[result].name, graph[result].type)
  let (main, side) = try parts(of: weight, columns, isTransposed: linear.channelAxis == 0, context.allocator)
  weight.releasePages()
  var mask = [Float](repeating: 1, count: linear.terms)
  for column in columns { mask[column] = 0 }
  func constant(_ suffix: String, _ tensor: Tensor) -> ValueID {
    graph.addConstant(graph.uniqueName("\(name).\(suffix)"), tensor)
  }
  let maskID = constant("mask", try Tensor.floats(mask))
  let columnsID = constant("columns", try Tensor.int64s(columns))
  let sideID = constant("loud_weight", side)
  graph.setConstant(main, of: linear.weight)
  let rest = try graph.addNode(
    .binary(Binary(.mul)),
    inputs: [linear.data, maskID],
    outputNames: ["\(name).rest"]
  )
  let loud = try graph.addNode(
    .gather(Gather(axis: -1)),
    inputs: [linear.data, columnsID],
    outputNames: ["\(name).loud"]
  )
  let product = try graph.addNode(
    .gemm(Gemm(transB: true)),
    inputs: [graph.result(of: loud), sideID],
    outputNames: ["\(name).side"]
  )
  let sum = graph.addNode(
    .binary(Binary(.add)),
    inputs: [],
    outputNames: ["\(name).sum"],
    outputTypes: [type]
  )
  graph.setInputs([graph.result(of: rest)] + graph[linear.id].inputs.dropFirst(), of: linear.id)
  graph.substitute(result, by: graph.result(of: sum))
  graph.setInputs([result, graph.result(of: product)], of: sum)
  graph.rename(result, to: "\(name).main")
  context.kept[product] = .float16
  context.activations[graph.result(of: rest)] = context.activations[linear.data]?.clearing(columns)
}

/// A weight without some columns of its rows, and those columns alone, `[outputs, columns]`.
private func parts(
  of weight: Tensor,
  _ columns: [Int],
  isTransposed: Bool,
  _ allocator: StorageAllocator
) throws(Refusal) -> (main: Tensor, side: Tensor) {
  let (outputs, terms) =
    isTransposed ? (weight.shape[0], weight.shape[1]) : (weight.shape[1], weight.shape[0])
  func place(_ output: Int, _ term: Int) -> Int {
    isTransposed ? output * terms + term : term * outputs + output
  }
  var side = [Float](repeating: 0, count: outputs * columns.count)
  let main = try unsafe Tensor.build(.float32, weight.shape, as: Float.self, in: allocator) { (out) in
    unsafe weight.withElements(as: Float.self) { (values) in
      for index in values.indices { unsafe out[index] = values[index] }
      for output in 0..<outputs {
        for (index, column) in columns.enumerated() {
          unsafe side[output * columns.count + index] = values[place(output, column)]
          unsafe out[place(output, column)] = 0
        }
      }
    }
  }
  return (main, try Tensor.floats(side, [outputs, columns.count]))
}
