import BinaryIO
import Testing

@testable import ONNXReader

struct WireScannerTests {
  private func scan(_ bytes: [UInt8], limits: Limits = .standard, budget: Int = 1 << 20) throws -> Skeleton {
    try slice(bytes).withBytes { (span) throws(Refusal) in
      try WireScanner.scan(span, limits: limits, budget: budget)
    }
  }

  @Test("A number of more than 64 bits is refused")
  func longVarint() {
    expectRefusal("O1", "64 bits") { try scan([0x08] + Array(repeating: 0xFF, count: 10) + [0x01]) }
    expectRefusal("O1", "64 bits") { try scan([0x08] + Array(repeating: 0x80, count: 9) + [0x02]) }
  }

  @Test("Field numbers 0 and beyond 29 bits are refused")
  func tags() {
    expectRefusal("O1", "tag") { try scan([0x00, 0x00]) }
    expectRefusal("O1", "tag") { try scan(ProtoBytes.varint(1 << 32) + [0]) }
  }

  @Test("A length beyond the enclosing message is refused, even where the file goes on")
  func lengths() {
    expectRefusal("O2", "claims 5 bytes", "4 left") { try scan([0x3A, 5, 0, 0, 0, 0]) }
    let graph = ProtoBytes().tag(2, 2).raw([9, 0x61])
    expectRefusal("O2", "claims 9 bytes", "1 left") {
      try scan(ProtoBytes().message(7, graph).raw(Array(repeating: 0, count: 20)).bytes)
    }
    expectRefusal("O2") { try scan([0x3A] + ProtoBytes.varint(UInt64(Int64.max))) }
    expectRefusal("O2", "cut off") { try scan([0x08]) }
    expectRefusal("O2", "needs 8 bytes") { try scan([0x79, 0, 0]) }
  }

  @Test("A wire type that does not match the field, and groups, are refused")
  func wireTypes() {
    expectRefusal("O3", "'ir_version'") { try scan(ProtoBytes().text(1, "8").bytes) }
    expectRefusal("O3", "'graph'") { try scan(ProtoBytes().int(7, 1).bytes) }
    expectRefusal("O3", "group") { try scan([0x03 | 100 << 3 & 0x78, 0x04]) }
    expectRefusal("O3", "wire type 7") { try scan([0x7F]) }
  }

  @Test("Packed elements of a fixed size must be whole")
  func packedFixed() {
    let attribute = ProtoBytes().blob(7, [0, 0, 0])
    expectRefusal("O5", "'floats'") { try scan(model(attribute: attribute)) }
    expectRefusal("O5", "'float_data'") { try scan(model(tensor: ProtoBytes().blob(4, [0, 0, 0, 0, 0]))) }
    expectRefusal("O2", "cut off") { try scan(model(attribute: ProtoBytes().blob(8, [0x80]).int(20, 7))) }
  }

  @Test(
    "Singular fields may be given once",
    arguments: ["graph", "t", "g", "type", "raw_data", "ir_version"]
  )
  func duplicates(field: String) {
    let bytes =
      switch field {
      case "graph": ProtoBytes().message(7, ProtoBytes()).message(7, ProtoBytes()).bytes
      case "t": model(attribute: ProtoBytes().message(5, ProtoBytes()).message(5, ProtoBytes()))
      case "g": model(attribute: ProtoBytes().message(6, ProtoBytes()).message(6, ProtoBytes()))
      case "type":
        ProtoBytes().message(
          7,
          ProtoBytes().message(11, ProtoBytes().message(2, ProtoBytes()).message(2, ProtoBytes()))
        ).bytes
      case "raw_data": model(tensor: ProtoBytes().blob(9, [1]).blob(9, [2]))
      default: ProtoBytes().int(1, 8).int(1, 8).bytes
      }
    expectRefusal("O6", "'\(field)'", "twice") { try scan(bytes) }
  }

  @Test("Text must be UTF-8 without NUL, names without control characters")
  func text() {
    expectRefusal("O7", "'producer_name'") { try scan(ProtoBytes().blob(2, [0xC3, 0x28]).bytes) }
    expectRefusal("O7") { try scan(ProtoBytes().blob(2, [0x61, 0]).bytes) }
    expectRefusal("L7", "control") { try scan(model(node: ProtoBytes().text(4, "Re\nlu"))) }
    expectRefusal("L7", "5000 bytes") {
      try scan(model(node: ProtoBytes().text(4, String(repeating: "a", count: 5_000))))
    }
  }

  @Test("Nested graphs are refused beyond 16, and quickly in a file of thousands")
  func depth() {
    func nested(_ levels: Int) -> [UInt8] {
      var graph = ProtoBytes()
      for _ in 1..<levels {
        graph = ProtoBytes().message(1, ProtoBytes().message(5, ProtoBytes().message(6, graph)))
      }
      return ProtoBytes().message(7, graph).bytes
    }
    #expect(throws: Never.self) { try scan(nested(16)) }
    expectRefusal("L8", "graphs are nested") { try scan(nested(17)) }
    var limits = Limits()
    limits.graphDepth = 1_000
    expectRefusal("L8", "messages are nested") { try scan(nested(3_000), limits: limits) }
    expectRefusal("L8") { try scan(nested(3_000)) }
  }

  @Test("Counts of nodes, operands, attributes and items are limited")
  func counts() {
    var limits = Limits()
    limits.objects = 2
    limits.nodeArity = 3
    limits.attributes = 1
    limits.attributeItems = 4
    let three = ProtoBytes().message(7, ProtoBytes().messages(1, [ProtoBytes(), ProtoBytes(), ProtoBytes()]))
    expectRefusal("L5") { try scan(three.bytes, limits: limits) }
    expectRefusal("L6", "inputs and outputs") {
      try scan(model(node: ProtoBytes().texts(1, ["a", "b"]).texts(2, ["c", "d"])), limits: limits)
    }
    expectRefusal("L6", "attributes") {
      try scan(model(node: ProtoBytes().messages(5, [ProtoBytes(), ProtoBytes()])), limits: limits)
    }
    expectRefusal("L6", "items") {
      try scan(model(attribute: ProtoBytes().packed(8, [1, 2, 3, 4, 5])), limits: limits)
    }
    expectRefusal("L6", "items") {
      try scan(model(attribute: (0..<5).reduce(ProtoBytes()) { item, _ in item.float(7, 1) }), limits: limits)
    }
  }

  @Test("A skeleton beyond the budget is refused")
  func budget() {
    let bytes = ProtoBytes().message(
      7,
      ProtoBytes().messages(1, Array(repeating: ProtoBytes(), count: 1_000))
    )
    expectRefusal("L11") { try scan(bytes.bytes, budget: 4_000) }
    #expect(throws: Never.self) { try scan(bytes.bytes, budget: 8_000) }
  }

  @Test("Unknown fields never reach the skeleton")
  func unknownFields() throws {
    let noise = ProtoBytes().text(6, "doc").int(99, 5).float(98, 1).tag(97, 1).raw(
      Array(repeating: 7, count: 8)
    )
    let bytes = ProtoBytes().int(1, 8).raw(noise.bytes).message(7, noise.text(10, "doc")).bytes
    #expect(try scan(bytes).bytes == [0x08, 8, 0x3A, 0x80, 0x80, 0x80, 0x80, 0])
  }

  @Test("Payloads above 4 KiB stay in the file")
  func lifting() throws {
    let small = try scan(model(tensor: ProtoBytes().blob(9, Array(repeating: 1, count: 4_096))))
    #expect(small.lifted.isEmpty)
    let bytes = model(tensor: ProtoBytes().blob(9, Array(repeating: 1, count: 4_097)).int(2, 2))
    let skeleton = try scan(bytes)
    #expect(skeleton.lifted.count == 1)
    #expect(skeleton.lifted[0].range == (bytes.count - 2 - 4_097)..<(bytes.count - 2))
    #expect(skeleton.bytes.count < 40)
    let packed = try scan(model(tensor: ProtoBytes().packed(4, Array(repeating: Float(1), count: 2_000))))
    #expect(packed.lifted[0].range.count == 8_000)
    expectRefusal("O32", "second 'float_data'") {
      try scan(model(tensor: ProtoBytes().packed(4, Array(repeating: Float(1), count: 2_000)).float(4, 1)))
    }
  }

  @Test("A skeleton unpacks to the messages of the file")
  func unpacking() throws {
    let payload = (0..<5_000).map { UInt8(truncatingIfNeeded: $0) }
    let model = try ONNXReader.parse(
      slice(model(tensor: tensor("w", 2, [5_000]).blob(9, payload))),
      limits: .standard
    )
    let tensor = try #require(model.graph?.initializers.first)
    #expect(tensor.name == "w")
    #expect(tensor.dims == [5_000])
    guard case .raw(let bytes)? = tensor.sources.first else {
      Issue.record("no raw data")
      return
    }
    #expect(bytes.withBytes { span in (0..<span.byteCount).map { span.byte($0) } } == payload)
  }

  private func model(node: ProtoBytes) -> [UInt8] {
    ProtoBytes().message(7, ProtoBytes().message(1, node)).bytes
  }

  private func model(attribute: ProtoBytes) -> [UInt8] { model(node: ProtoBytes().message(5, attribute)) }

  private func model(tensor: ProtoBytes) -> [UInt8] {
    ProtoBytes().message(7, ProtoBytes().message(5, tensor)).bytes
  }
}
