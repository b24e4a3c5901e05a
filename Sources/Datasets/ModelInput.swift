public import GraphIR

/// An input that samples must fill.
public struct ModelInput: Hashable, Sendable {
  public var name: String
  public var type: TensorType
  /// What its integers are chosen from where they are made up; nil: anything.
  public var integers: ClosedRange<Int>?

  public init(name: String, type: TensorType, integers: ClosedRange<Int>? = nil) {
    self.name = name
    self.type = type
    self.integers = integers
  }

  /// The inputs of a graph, in its order.
  ///
  /// Where some of them pick rows of tables, as token numbers do, their integers are numbers of rows, and those of the other inputs
  /// are 1, as in a mask that hides nothing.
  public static func inputs(of graph: Graph) -> [ModelInput] {
    let rows = graph.inputs.map { graph.rows(pickedBy: $0) }
    let hasTables = rows.contains { $0 != nil }
    return zip(graph.inputs, rows).map { id, rows in
      let type = graph[id].type
      let isInteger = type.dtype == .int64 || type.dtype == .int32
      let integers = rows.map { 0...($0 - 1) } ?? (hasTables && isInteger ? 1...1 : nil)
      return ModelInput(name: graph[id].name, type: type, integers: integers)
    }
  }

  /// The type without its leading sample axis.
  var sampleDims: ArraySlice<Dim> { type.dims.dropFirst() }

  /// Name and type, for messages.
  package var description: String { "\"\(name)\" (\(type))" }
}

extension Graph {
  /// Rows of the smallest table from which a value, unchanged but for its type and shape, picks rows; nil where there is none.
  fileprivate func rows(pickedBy value: ValueID) -> Int? {
    var least: Int?
    var pending = [value]
    while let next = pending.popLast() {
      for user in users(of: next) {
        switch self[user].op {
        case .gather(let op) where self[user].inputs[1] == next:
          guard let table = self[user].inputs[0], op.axis == 0 || op.axis == -self[table].type.rank,
            let extent = self[table].type.dims.first?.value, extent > 0
          else { continue }
          least = min(least ?? extent, extent)
        case .cast, .reshape, .flatten, .squeeze, .unsqueeze:
          if self[user].inputs[0] == next { pending.append(self[user].outputs[0]) }
        default: continue
        }
      }
    }
    return least
  }
}
