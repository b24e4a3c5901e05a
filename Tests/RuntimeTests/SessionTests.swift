import BinaryIO
import GraphIR
import Runtime
import TestSupport
import Testing

private func session(_ text: String, memoryLimit: Int? = nil) throws -> Session {
  try Session(
    try GraphParser.parse("graph @g {\n\(text)\n}"),
    options: SessionOptions(executor: .reference, memoryLimit: memoryLimit)
  )
}

private let network = """
  input %x: f32[batch, 2]
  input %m: f32[batch, 2]
  %s: f32[batch, 2] = add(%x, %m)
  %y: f32[batch, 2] = relu(%s)
  output %y
  output %s
  """

@Suite("Session") struct SessionTests {
  @Test("Inputs bind the symbolic dimensions of each run")
  func symbols() throws {
    let session = try session(network)
    for batch in [1, 3, 1, 2, 4, 5, 6, 1] {
      let x = try Tensor.floats([Float](repeating: 1, count: 2 * batch), [batch, 2])
      let m = try Tensor.floats([Float](repeating: -3, count: 2 * batch), [batch, 2])
      let result = try session.run(["x": x, "m": m])
      #expect(result["y"]?.shape == [batch, 2])
      #expect(result["s"]?.elements(as: Float.self) == [Float](repeating: -2, count: 2 * batch))
    }
  }

  @Test(
    "Inputs that do not fit are refused",
    arguments: [
      (["x"], [[1, 2]], "R1"), (["x", "m", "z"], [[1, 2], [1, 2], [1]], "R2"),
      (["x", "m"], [[1, 2], [2, 2]], "R4"), (["x", "m"], [[1, 3], [1, 3]], "R4"),
      (["x", "m"], [[2], [2]], "R4"),
    ] as [([String], [[Int]], String)]
  )
  func refusals(names: [String], shapes: [[Int]], rule: String) throws {
    let session = try session(network)
    var inputs: [String: Tensor] = [:]
    for (name, shape) in zip(names, shapes) {
      inputs[name] = try .floats([Float](repeating: 0, count: shape.reduce(1, *)), shape)
    }
    let refusal = #expect(throws: Refusal.self) { try session.run(inputs) }
    #expect(refusal?.rule == rule && refusal?.remedy.isEmpty == false)
  }

  @Test("An input of another element type is refused")
  func elementType() throws {
    let x = try Tensor.int64s([1, 2], [1, 2])
    let session = try session(network)
    let refusal = #expect(throws: Refusal.self) { try session.run(["x": x, "m": x]) }
    #expect(refusal?.rule == "R3")
  }

  @Test("A network that needs more memory than allowed is refused before it runs")
  func memory() throws {
    let session = try session(network, memoryLimit: 100)
    let small = try Tensor.floats([1, 2], [1, 2])
    #expect(try session.run(["x": small, "m": small]).count == 2)
    let large = try Tensor.floats([Float](repeating: 0, count: 20), [10, 2])
    let refusal = #expect(throws: Refusal.self) { try session.run(["x": large, "m": large]) }
    #expect(refusal?.rule == "L12")
  }

  @Test("A result whose size is known only at run time is refused when it is too large")
  func dynamicMemory() throws {
    let session = try session(
      "input %n: i64[1] %y: f32[?] = constant_of_shape(%n) {dtype = \"f32\"} output %y",
      memoryLimit: 1000
    )
    #expect(try session.run(["n": Tensor.int64s([4])])["y"]?.count == 4)
    let refusal = #expect(throws: Refusal.self) { try session.run(["n": Tensor.int64s([1_000_000_000])]) }
    #expect(refusal?.rule == "L12")
    let negative = #expect(throws: Refusal.self) { try session.run(["n": Tensor.int64s([-1])]) }
    #expect(negative?.place.contains("constant_of_shape") == true)
  }

  @Test("Observed values arrive in order of execution, inputs first")
  func observing() throws {
    let session = try session(network)
    let x = try Tensor.floats([1, -5], [1, 2])
    let ids = ["y", "s", "x"].compactMap { session.graph.value(named: $0) }
    var seen: [(String, [Float])] = []
    let result = try session.run(["x": x, "m": x], observing: ids) { (id, tensor) throws(Refusal) in
      seen.append((session.graph[id].name, tensor.elements(as: Float.self)))
    }
    #expect(seen.map(\.0) == ["x", "s", "y"])
    #expect(seen.map(\.1) == [[1, -5], [2, -10], [2, 0]])
    #expect(result.count == 2)
  }

  @Test("What the observer throws ends the run")
  func observerRefuses() throws {
    let session = try session(network)
    let x = try Tensor.floats([1, -5], [1, 2])
    let id = try #require(session.graph.value(named: "s"))
    let refusal = #expect(throws: Refusal.self) {
      try session.run(["x": x, "m": x], observing: [id]) { (_, _) throws(Refusal) in
        throw Refusal(.usage, at: "test", rule: "X", "stop", remedy: "")
      }
    }
    #expect(refusal?.rule == "X")
  }

  @Test("Float values inside integer regions are shown dequantized; hidden ones are refused")
  func quantizedObservation() throws {
    let session = try session(
      """
      const %s: f32[] = 0.5
      const %z: u8[] = 10
      input %x: f32[1, 4]
      %q: u8[1, 4] = quantize_linear(%x, %s, %z)
      %d: f32[1, 4] = dequantize_linear(%q, %s, %z)
      %r: f32[1, 4] = relu(%d)
      %t: f32[1, 4] = hard_swish(%r)
      %p: u8[1, 4] = quantize_linear(%t, %s, %z)
      %y: f32[1, 4] = dequantize_linear(%p, %s, %z)
      output %y
      """
    )
    let x = try Tensor.floats([-1, 0.7, 1.3, 9], [1, 4])
    var seen: [String: [Float]] = [:]
    let ids = ["d", "t", "q"].compactMap { session.graph.value(named: $0) }
    _ = try session.run(["x": x], observing: ids) { (id, tensor) throws(Refusal) in
      seen[session.graph[id].name] = tensor.dtype == .float32 ? tensor.elements(as: Float.self) : [-1]
    }
    #expect(seen == ["d": [-1, 0.5, 1.5, 9], "t": [0, 0.5, 1, 9], "q": [-1]])
    let hidden = try #require(session.graph.value(named: "r"))
    let refusal = #expect(throws: Refusal.self) {
      try session.run(["x": x], observing: [hidden]) { (_, _) throws(Refusal) in }
    }
    #expect(refusal?.rule == "R5")
  }

  @Test("Outputs may be inputs, constants and results of constants")
  func trivialOutputs() throws {
    let session = try session(
      """
      input %x: f32[2]
      const %c: f32[2] = [1, -2]
      %n: f32[2] = relu(%c)
      output %x
      output %c
      output %n
      """
    )
    let result = try session.run(["x": Tensor.floats([7, 8])])
    #expect(result["x"]?.elements(as: Float.self) == [7, 8])
    #expect(result["c"]?.elements(as: Float.self) == [1, -2])
    #expect(result["n"]?.elements(as: Float.self) == [1, 0])
  }

  @Test("A refusal at run time names the node")
  func place() throws {
    let session = try session(
      """
      input %x: f32[2]
      input %i: i64[1]
      %y: f32[1] = gather(%x, %i) name "pick"
      output %y
      """
    )
    let refusal = #expect(throws: Refusal.self) {
      try session.run(["x": Tensor.floats([7, 8]), "i": Tensor.int64s([2])])
    }
    #expect(refusal?.place == "node \"pick\" (gather)")
  }

  @Test("Peak memory counts what is alive together")
  func peak() throws {
    let session = try session(network)
    let types = ["x": TensorType(.float32, known: [1, 2]), "m": TensorType(.float32, known: [1, 2])]
    let program = try session.program(inputTypes: types)
    #expect(try program.checkMemory(.max) == 24)
  }
}
