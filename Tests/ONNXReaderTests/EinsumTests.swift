import BinaryIO
import GraphIR
import Runtime
import TestSupport
import Testing

@testable import ONNXReader

struct EinsumTests {
  private func model(_ equation: String, _ shapes: [[String]]) -> ModelBytes {
    let names = shapes.indices.map { "x\($0)" }
    return ModelBytes(
      nodes: [node("Einsum", names, ["y"], [attribute("equation", equation)])],
      inputs: zip(names, shapes).map { value($0, 1, $1) },
      outputs: [ProtoBytes().text(1, "y")]
    )
  }

  @Test("attention is two matrix products")
  func attention() throws {
    let (q, k) = (["batch", "3", "length", "8"], ["batch", "3", "length", "8"])
    let lines = try model("bhqd,bhkd->bhqk", [q, k]).lines().filter { $0.hasPrefix("%") }
    #expect(
      lines == [
        "%y_b: f32[batch, 3, 8, length] = transpose(%x1) {perm = [0, 1, 3, 2]}",
        "%y: f32[batch, 3, length, length] = matmul(%x0, %y_b)",
      ]
    )
  }

  @Test(
    "every kind of label gives what loops over all of them give",
    arguments: [
      "ij,jk->ik", "bhqd,bhkd->bhqk", "bhqk,bhkd->bhqd", "abc,cd->abd", "ij,ij->i", "ij,ij->", "i,j->ij",
      "i,j->ji", "abc->ca", "ij->", "ij->j", "bchw,bnhw->bcn", "bhwc,hkc->bhwk", "aij,bij->ab", "ia,ib->iab",
      "ij, jk", "ba",
      "ijx,jky->ik",
    ]
  )
  func answers(equation: String) throws {
    let extents: [Character: Int] = [
      "a": 2, "b": 3, "c": 4, "d": 2, "h": 3, "i": 2, "j": 3, "k": 4, "n": 2, "q": 5, "w": 2, "x": 2, "y": 3,
    ]
    let plain = equation.filter { $0 != " " }
    let parsed = try EinsumEquation(
      equation,
      ranks: plain.split(separator: "-")[0].split(separator: ",").map(\.count)
    )
    var random = SplitMix64(seed: 91)
    var inputs: [String: Tensor] = [:]
    for (index, labels) in parsed.inputs.enumerated() {
      inputs["x\(index)"] = try random.floats(labels.map { extents[$0] ?? 0 })
    }
    let shapes = parsed.inputs.map { $0.map { String(extents[$0] ?? 0) } }
    let session = try Session(model(equation, shapes).read())
    let found = try #require(try session.run(inputs)["y"])
    let expected = looped(
      parsed,
      extents,
      parsed.inputs.indices.compactMap { inputs["x\($0)"]?.floatValues() }
    )
    #expect(found.shape == parsed.output.map { extents[$0] ?? 0 })
    let values = try #require(found.floatValues())
    #expect(values.count == expected.count)
    #expect(zip(values, expected).allSatisfy { abs($0 - $1) < 1e-5 }, "\(values) instead of \(expected)")
  }

  /// Sums the products over all labels.
  private func looped(_ e: EinsumEquation, _ extents: [Character: Int], _ operands: [[Float]]) -> [Float] {
    let labels = Set(e.inputs.flatMap { $0 }).sorted()
    func offset(_ of: [Character], _ at: [Character: Int]) -> Int {
      of.reduce(0) { $0 * (extents[$1] ?? 0) + (at[$1] ?? 0) }
    }
    var result = [Float](repeating: 0, count: e.output.reduce(1) { $0 * (extents[$1] ?? 0) })
    for flat in 0..<labels.reduce(1, { $0 * (extents[$1] ?? 0) }) {
      var rest = flat
      var at: [Character: Int] = [:]
      for label in labels {
        at[label] = rest % (extents[label] ?? 1)
        rest /= extents[label] ?? 1
      }
      let product = zip(e.inputs, operands).reduce(Float(1)) { $0 * $1.1[offset($1.0, at)] }
      result[offset(e.output, at)] += product
    }
    return result
  }

  @Test("what is no product of two is refused")
  func refusals() throws {
    let matrix = ["2", "2"]
    expectRefusal("O29", "'equation'") { try model("ii->i", [matrix]).read() }
    expectRefusal("O29", "'equation'") { try model("...i->i", [matrix]).read() }
    expectRefusal("O29", "'equation'") { try model("ij,jk,kl->il", [matrix, matrix, matrix]).read() }
    expectRefusal("O27", "'equation'") { try model("ijk->i", [matrix]).read() }
    expectRefusal("O27", "'equation'") { try model("ij->k", [matrix]).read() }
  }
}
