import BinaryIO
import GraphIR
import TestSupport
import Testing

@Suite("Operators as text") struct OperatorTextTests {
  @Test("Every operator with any attributes survives text", arguments: 1...20 as ClosedRange<UInt64>)
  func roundTrip(seed: UInt64) throws {
    let ops = operatorSamples(seed: seed)
    #expect(Set(ops.map(caseNumber)) == Set(0..<caseCount))
    var graph = Graph(name: "g")
    let x = graph.addInput("x", TensorType(.float32, [1]))
    for op in ops {
      let inputs = Array(repeating: Optional(x), count: op.payload.inputCount.lowerBound)
      let outputs = op.payload.outputCount.lowerBound
      graph.addNode(
        op,
        inputs: inputs,
        outputNames: Array(repeating: "y", count: outputs),
        outputTypes: Array(repeating: TensorType(.float32, [.symbol("n"), .unknown]), count: outputs)
      )
    }
    graph.addOutput(x)
    let text = GraphPrinter.text(graph, constants: .all)
    let parsed = try GraphParser.parse(text)
    #expect(GraphPrinter.text(parsed, constants: .all) == text)
    #expect(parsed.order.map { parsed[$0].op } == ops)
  }

  @Test("Operators are rebuilt from name and attributes", arguments: 21...30 as ClosedRange<UInt64>)
  func fromAttributes(seed: UInt64) throws {
    for op in operatorSamples(seed: seed) {
      #expect(try Op(name: op.name, attributes: op.payload.attributes) == op)
    }
  }

  @Test("Names of operators are unique among cases and kinds")
  func uniqueNames() {
    let ops = operatorSamples(seed: 1).filter { if case .cast = $0 { false } else { true } }
    #expect(Set(ops.map(\.name)).count == ops.count)
  }
}
