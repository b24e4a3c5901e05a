internal import BinaryIO
internal import GraphIR

/// Checks the tensors a caller hands to a network.
enum InputBinding {
  /// The tensors in the order of the graph's inputs.
  ///
  /// - Throws: A refusal when one is missing (R1), unknown (R2), or has another type (R3) or shape (R4).
  static func operands(of graph: Graph, from inputs: [String: Tensor]) throws(Refusal) -> [Tensor] {
    let names = graph.inputs.map { graph[$0].name }
    if let unknown = inputs.keys.filter({ !names.contains($0) }).min() {
      throw refusal(
        unknown,
        rule: "R2",
        "is not an input of the network",
        remedy: "give exactly: " + names.map { Refusal.printable($0) }.joined(separator: ", ")
      )
    }
    var symbols: [String: Int] = [:]
    var operands: [Tensor] = []
    for id in graph.inputs {
      let value = graph[id]
      guard let tensor = inputs[value.name] else {
        throw refusal(
          value.name,
          rule: "R1",
          "is missing",
          remedy: "give a tensor of type \(value.type)"
        )
      }
      try check(tensor, value, &symbols)
      operands.append(tensor)
    }
    return operands
  }

  private static func check(
    _ tensor: Tensor,
    _ value: Value,
    _ symbols: inout [String: Int]
  ) throws(Refusal) {
    guard tensor.dtype == value.type.dtype else {
      throw refusal(
        value.name,
        rule: "R3",
        "is \(tensor.dtype.name), expected \(value.type.dtype.name)",
        remedy: "convert the elements before running"
      )
    }
    guard fits(tensor.shape, value.type.dims, &symbols) else {
      throw refusal(
        value.name,
        rule: "R4",
        "has the shape \(tensor.shape), expected \(value.type)",
        remedy: "give a tensor of that shape; one symbol stands for one extent"
      )
    }
  }

  private static func fits(_ shape: [Int], _ dims: [Dim], _ symbols: inout [String: Int]) -> Bool {
    guard shape.count == dims.count else { return false }
    for (extent, dim) in zip(shape, dims) {
      switch dim {
      case .known(let known):
        guard extent == known else { return false }
      case .symbol(let name):
        guard symbols[name, default: extent] == extent else { return false }
        symbols[name] = extent
      case .unknown: continue
      }
    }
    return true
  }

  private static func refusal(
    _ name: String,
    rule: String,
    _ problem: String,
    remedy: String
  ) -> Refusal {
    Refusal(.usage, at: "input \(Refusal.quoted(name))", rule: rule, problem, remedy: remedy)
  }
}
