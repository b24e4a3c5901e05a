import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import Safetensors

struct SafetensorsGraphTests {
  private let text = """
    graph @net {
      meta preprocessing = "scale=255 mean=0,0,0 std=1,1,1 channels=rgb"
      input %"in/put": f32[batch, 2, 4, 4]
      const %wq: i8[3, 2, 1, 1] = [1, -2, 3, -4, 5, -127]
      const %s: f32[3] = [0.5, 0.25, 1.5]
      const %"b é \\"1\\"": f32[3] = [1, -0.0, 3e-39]
      const %zp: u8[] = 7
      const %xs: f32[] = 0.125
      %q: u8[batch, 2, 4, 4] = quantize_linear(%"in/put", %xs, %zp)
      %x: f32[batch, 2, 4, 4] = dequantize_linear(%q, %xs, %zp)
      %w: f32[3, 2, 1, 1] = dequantize_linear(%wq, %s) {axis = 0}
      %out: f32[batch, 3, 4, 4] = conv(%x, %w, %"b é \\"1\\"") {strides = [1, 1], pads = [0, 0, 0, 0], \
    dilations = [1, 1]} name "stem/conv"
      output %out
    }
    """

  private func written(_ graph: Graph) throws(Refusal) -> [UInt8] {
    var result: [UInt8] = []
    try SafetensorsGraph.write(graph) { (span) throws(Refusal) in
      unsafe span.withUnsafeBytes { unsafe result.append(contentsOf: $0) }
    }
    return result
  }

  @Test("a graph is read back with the same text and bytes")
  func roundTrip() throws {
    let graph = try graph(text)
    let bytes = try written(graph)
    let file = try read(bytes)
    #expect(SafetensorsGraph.isPresent(in: file))
    let back = try SafetensorsGraph.read(file)
    #expect(GraphPrinter.text(back, constants: .all) == GraphPrinter.text(graph, constants: .all))
    #expect(try written(back) == bytes)
    #expect(file.entries.count == 5)
  }

  @Test("a constant is a slice of the file")
  func slices() throws {
    let bytes = try slice(written(graph(text)))
    let back = try SafetensorsGraph.read(SafetensorsFile.read(bytes))
    let constants = back.valueIDs.compactMap { back[$0].constant }
    #expect(constants.count == 5 && constants.allSatisfy { $0.bytes.storage === bytes.storage })
  }

  private func rewritten(
    _ change: (inout [(name: String, tensor: Tensor)], inout [String: String]) throws -> Void
  ) throws -> SafetensorsFile {
    let file = try read(written(graph(text)))
    var (entries, metadata) = (file.entries, file.metadata)
    try change(&entries, &metadata)
    var result: [UInt8] = []
    try SafetensorsWriter.write(entries, metadata: metadata) { (span) throws(Refusal) in
      unsafe span.withUnsafeBytes { unsafe result.append(contentsOf: $0) }
    }
    return try read(result)
  }

  @Test("text and tensors must agree")
  func agreement() throws {
    let extra = try rewritten { entries, _ in entries.append(("extra", try .floats([1]))) }
    expectRefusal(rule: "S17", containing: "\"extra\": is no constant") {
      _ = try SafetensorsGraph.read(extra)
    }
    let missing = try rewritten { entries, _ in entries.removeAll { $0.name == "s" } }
    expectRefusal(rule: "QIR2", containing: "qconvert.graph") { _ = try SafetensorsGraph.read(missing) }
    let other = try rewritten { entries, _ in
      entries = try entries.map { $0.name == "s" ? ("s", try .floats([1, 2])) : $0 }
    }
    expectRefusal(rule: "QIR2") { _ = try SafetensorsGraph.read(other) }
  }

  @Test("the graph is validated after reading")
  func validated() throws {
    let zeroScale = try rewritten { entries, _ in
      entries = try entries.map { $0.name == "s" ? ("s", try .floats([1, 0, 1])) : $0 }
    }
    expectRefusal(rule: "K1") { _ = try SafetensorsGraph.read(zeroScale) }
  }

  @Test("another version and a file of bare weights are unsupported")
  func version() throws {
    let newer = try rewritten { _, metadata in metadata[SafetensorsGraph.versionKey] = "2" }
    let refusal = expectRefusal(rule: "S17", containing: "is \"2\", must be \"1\"") {
      _ = try SafetensorsGraph.read(newer)
    }
    #expect(refusal?.kind == .unsupported)
    let bare = try rewritten { _, metadata in metadata = [:] }
    #expect(!SafetensorsGraph.isPresent(in: bare))
    expectRefusal(rule: "S17", containing: "bare weights") { _ = try SafetensorsGraph.read(bare) }
  }

  @Test("mutated graph files never trap")
  func mutations() throws {
    var random = SplitMix64(seed: 3)
    let whole = try written(graph(text))
    for _ in 0..<2000 {
      var bytes = whole
      for _ in 0..<2 { bytes[random.int(8...(bytes.count - 1))] = UInt8(random.int(32...126)) }
      guard let file = try? read(bytes) else { continue }
      _ = try? SafetensorsGraph.read(file)
    }
  }
}
