import BinaryIO
import GraphIR
import Runtime
import TestSupport
import Testing

/// Known answers: `Fixtures/operator-cases.qir`, written by `tools/make-operator-cases`.
@Suite("Operators against known answers") struct OperatorCaseTests {
  @Test("Every case gives the expected elements")
  func cases() throws {
    let path = "\(packageFolder())/Tests/RuntimeTests/Fixtures/operator-cases.qir"
    let text = String(decoding: try readFile(path), as: UTF8.self)
    let cases = text.split(separator: "\n----\n")
    #expect(cases.count > 250)
    var seen: Set<String> = []
    for item in cases {
      let graph = try GraphParser.parse(String(item))
      let node = graph[graph.order[0]]
      seen.insert(node.op.name)
      try check(graph, node)
    }
    #expect(seen.count > 67)
  }

  @Test("Extreme operands give a result or a refusal, never a trap")
  func extremes() throws {
    let path = "\(packageFolder())/Tests/RuntimeTests/Fixtures/operator-cases.qir"
    let text = String(decoding: try readFile(path), as: UTF8.self)
    let reals: [Float] = [
      .nan, .infinity, -.infinity, .greatestFiniteMagnitude, -.leastNonzeroMagnitude, 0, -0.0, 3e9,
    ]
    let integers: [Int] = [.min, .max, -1, 0, 1, Int(Int32.max), Int(Int32.min)]
    for item in text.split(separator: "\n----\n") {
      let graph = try GraphParser.parse(String(item))
      let node = graph[graph.order[0]]
      let operands = node.inputs.map { id in id.flatMap { graph[$0].constant } }
      for shift in 0..<8 {
        let extreme = try operands.map { operand -> Tensor? in
          guard let operand else { return nil }
          if operand.dtype == .float32 {
            return try .floats((0..<operand.count).map { reals[($0 + shift) % 8] }, operand.shape)
          }
          guard operand.dtype == .int64 else { return operand }
          return try .int64s((0..<operand.count).map { integers[($0 + shift) % 7] }, operand.shape)
        }
        do throws(Refusal) {
          _ = try Reference.evaluate(op: node.op, inputs: extreme, memoryLimit: 1 << 20)
        } catch { #expect(!error.rule.isEmpty) }
      }
    }
  }

  private func check(_ graph: Graph, _ node: Node) throws {
    let operands = node.inputs.map { id in id.flatMap { graph[$0].constant } }
    let results: [Tensor]
    do { results = try Reference.evaluate(op: node.op, inputs: operands) } catch {
      Issue.record("\(graph.name): \(error)")
      return
    }
    let known = node.outputs.map { id in
      graph.value(named: graph[id].name + "_expected").flatMap { graph[$0].constant }
    }
    #expect(known.contains { $0 != nil }, "\(graph.name): nothing is expected")
    for (result, expected) in zip(results, known) {
      // Recurrent cases know some of the results only.
      guard let expected else { continue }
      #expect(result.type == expected.type, "\(graph.name)")
      let worst = difference(result, expected)
      #expect(worst <= tolerance(result.dtype), "\(graph.name): off by \(worst)")
    }
  }

  private func tolerance(_ dtype: DType) -> Float {
    switch dtype {
    case .float16: 2e-3
    case .bfloat16: 1e-2
    default: 2e-5
    }
  }

  /// The largest relative difference of floating-point elements (absolute below 1), or 0 or 1 for the others.
  private func difference(_ a: Tensor, _ b: Tensor) -> Float {
    guard a.dtype.isFloatingPoint, let x = a.floatValues(), let y = b.floatValues() else {
      return bytes(a) == bytes(b) ? 0 : 1
    }
    var worst: Float = 0
    for (p, q) in zip(x, y) where !(p == q || (p.isNaN && q.isNaN)) {
      let error = (p - q).magnitude / max(1, q.magnitude)
      worst = error.isNaN ? .infinity : max(worst, error)
    }
    return worst
  }
}

/// The bytes of a tensor.
func bytes(_ tensor: Tensor) -> [UInt8] {
  tensor.bytes.withBytes { span in (0..<span.byteCount).compactMap { span.byte($0) } }
}
