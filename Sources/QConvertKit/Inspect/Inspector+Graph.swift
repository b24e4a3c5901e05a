import BinaryIO
import GraphIR
import Runtime

extension Inspector {
  /// What the graph alone tells.
  ///
  /// - Parameters:
  ///   - path: The file, as the user named it.
  ///   - format: Name and version of the format.
  ///   - graph: The network.
  ///   - storage: Where a constant is in the file; nil: as in memory.
  static func report(
    _ path: String,
    _ format: String,
    _ graph: Graph,
    storage: (ValueID) -> Storage?
  ) -> InspectReport {
    let program = graph.order.isEmpty ? nil : program(of: graph)
    let analysis = GraphAnalysis(graph, program)
    let rows = tensorRows(analysis, storage)
    let parameters = rows.filter { ["weight", "bias"].contains($0.role) }.map(\.parameters).reduce(0, +)
    let payload = ["weight", "bias", "weight scale"]
    let ops = operatorRows(analysis)
    let metadata = graph.metadata
    let linear = graph.order.filter { GraphAnalysis.isLinear(graph[$0].op) }.map(analysis.arithmetic)
    return InspectReport(
      file: path,
      format: format,
      fileBytes: 0,
      storedBytes: rows.map(\.row.storedBytes).reduce(0, +),
      payloadBytes: rows.filter { payload.contains($0.role) }.map(\.row.bytes).reduce(0, +),
      activationQparamsBytes: rows.filter { $0.role == "activation scale" }.map(\.row.bytes).reduce(0, +),
      residentBytes: rows.map(\.row.bytes).reduce(0, +),
      fp32Bytes: 4 * parameters,
      parameters: parameters,
      peakActivationBytes: program?.peakActivationBytes,
      accounting: [],
      dtypes: typeRows(rows),
      ops: ops,
      tensors: rows.map(\.row).sorted { ($1.bytes, $0.name) < ($0.bytes, $1.name) },
      inputs: graph.inputs.map { "\(graph[$0].name): \(graph[$0].type)" },
      outputs: graph.outputs.map { "\(graph[$0].name): \(graph[$0].type)" },
      quantizedOps: linear.count { $0 == .int8 },
      floatOps: linear.count { $0 != .int8 },
      passes: metadata[MetadataKey.passes]?.split(separator: ",").map(String.init) ?? [],
      scheme: metadata[MetadataKey.scheme],
      preset: metadata[MetadataKey.preset],
      recovery: metadata[MetadataKey.recovery],
      keptFloat: metadata[MetadataKey.keptFloat],
      budget: metadata[MetadataKey.budget],
      source: metadata[MetadataKey.source],
      calibration: metadata[MetadataKey.calibration],
      architecture: metadata[MetadataKey.architecture],
      preprocessing: metadata[MetadataKey.preprocessing],
      checksums: [:],
      notes: batchNotes(graph) + noiseNotes(metadata) + analysis.wideningNotes
    )
  }

  /// The network made ready to run at batch 1; nil when a shape is not known after the first extent of every input was set to 1.
  static func program(of graph: Graph) -> Program? {
    var types: [String: TensorType] = [:]
    for id in graph.inputs {
      var type = graph[id].type
      guard let first = type.dims.first, first.value == nil else { continue }
      type.dims[0] = .known(1)
      types[graph[id].name] = type
    }
    return try? Program(graph, inputTypes: types)
  }

  /// Says so when the activations' size is for another batch than 1.
  private static func batchNotes(_ graph: Graph) -> [String] {
    graph.inputs.compactMap { id in
      let type = graph[id].type
      guard type.rank >= 2, let batch = type.dims[0].value, batch != 1 else { return nil }
      return
        "input \(Refusal.quoted(graph[id].name)) has a first extent of \(batch), which activations are for"
    }
  }

  private static func noiseNotes(_ metadata: [String: String]) -> [String] {
    SyntheticNoise.isNamed(in: metadata[MetadataKey.calibration]) ? [SyntheticNoise.warning] : []
  }

  private typealias Row = (
    row: InspectReport.TensorRow, dtype: DType, elements: Int, parameters: Int, role: String
  )

  private static func tensorRows(_ analysis: GraphAnalysis, _ storage: (ValueID) -> Storage?) -> [Row] {
    analysis.graph.valueIDs.compactMap { id in
      guard let tensor = analysis.graph[id].constant else { return nil }
      let stored = storage(id) ?? Storage(bytes: tensor.bytes.count, codec: "raw")
      let role = analysis.role(of: id).rawValue
      let row = InspectReport.TensorRow(
        name: analysis.graph[id].name,
        dtype: tensor.dtype.name,
        shape: tensor.shape,
        role: role,
        bytes: tensor.bytes.count,
        storedBytes: stored.bytes,
        codec: stored.codec
      )
      return (row, tensor.dtype, tensor.count, analysis.packedCounts[id] ?? tensor.count, role)
    }
  }

  private static func typeRows(_ rows: [Row]) -> [InspectReport.TypeRow] {
    let result = DType.allCases.compactMap { dtype -> InspectReport.TypeRow? in
      let own = rows.filter { $0.dtype == dtype }
      guard !own.isEmpty else { return nil }
      return InspectReport.TypeRow(
        dtype: dtype.name,
        tensors: own.count,
        elements: own.map(\.elements).reduce(0, +),
        bytes: own.map(\.row.bytes).reduce(0, +),
        storedBytes: own.map(\.row.storedBytes).reduce(0, +)
      )
    }
    return result.sorted { $0.bytes > $1.bytes }
  }

  private static func operatorRows(_ analysis: GraphAnalysis) -> [String: InspectReport.OperatorRow] {
    var result: [String: InspectReport.OperatorRow] = [:]
    let graph = analysis.graph
    for id in graph.order {
      let node = graph[id]
      var row = result[node.op.name] ?? InspectReport.OperatorRow()
      row.count += 1
      switch analysis.arithmetic(of: id) {
      case .int8: row.int8 += 1
      case .fp16:
        row.fp16 += 1
        row.reasons["its weights are f16, it computes in f32", default: 0] += 1
      case .float(let reason):
        row.float += 1
        row.reasons[reason, default: 0] += 1
      case .other: row.other += 1
      }
      if GraphAnalysis.isLinear(node.op) { row.weightBytes += analysis.weightBytes(of: node) }
      result[node.op.name] = row
    }
    return result
  }
}

extension GraphAnalysis {
  /// Bytes of the constants behind the operands of a node, without scales of activations.
  fileprivate func weightBytes(of node: Node) -> Int {
    var seen: Set<ValueID> = []
    var pending = node.inputs.compactMap(\.self).filter(isFixedOrBias)
    while let id = pending.popLast() {
      guard seen.insert(id).inserted else { continue }
      if let producer = graph[id].producer { pending += graph[producer].inputs.compactMap(\.self) }
    }
    return seen.filter { role(of: $0) != .activationScale }
      .compactMap { graph[$0].constant?.bytes.count }.reduce(0, +)
  }

  private func isFixedOrBias(_ id: ValueID) -> Bool {
    guard !isFixed.contains(id), let producer = graph[id].producer else { return isFixed.contains(id) }
    switch graph[producer].op {
    case .dequantizeBias: return true
    default: return false
    }
  }
}

/// Eight hexadecimal digits.
func hexText(_ value: UInt32) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 8 - digits.count) + digits
}
