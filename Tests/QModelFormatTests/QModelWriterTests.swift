import BinaryIO
import Glibc
import GraphIR
import TestSupport
import Testing

@testable import QModelFormat

private func text(_ graph: Graph) -> String {
  GraphPrinter.text(graph, constants: .external)
    + graph.metadata.keys.sorted().map { "\($0)=\(graph.metadata[$0] ?? "")" }.joined()
}

private func constants(_ graph: Graph) -> [String: [UInt8]] {
  var result: [String: [UInt8]] = [:]
  for id in graph.valueIDs {
    guard let tensor = graph[id].constant else { continue }
    result[graph[id].name] = unsafe tensor.bytes.withUnsafeBytes { unsafe Array($0) }
  }
  return result
}

private func rawSections(_ bytes: [UInt8]) throws -> [[UInt8]] {
  let file = try QModelFile.parse(slice(bytes))
  return try file.sections.map { section in
    unsafe try file.read(section).withUnsafeBytes { unsafe Array($0) }
  }
}

@Suite struct QModelWriterTests {
  @Test("a written graph is read back as it was, and written again byte for byte", arguments: [false, true])
  func roundTrip(compress: Bool) throws {
    for seed in 0..<60 {
      let graph = seed == 0 ? try sampleGraph() : try randomGraph(seed: UInt64(seed))
      let bytes = try written(graph, compress: compress)
      let copy = try reading(bytes)
      #expect(text(copy) == text(graph), "seed \(seed)")
      #expect(constants(copy) == constants(graph), "seed \(seed)")
      #expect(try written(copy, compress: compress) == bytes, "seed \(seed)")
      #expect(try written(graph, compress: compress) == bytes, "seed \(seed)")
    }
  }

  @Test("the smallest legal file has the bytes of the specification")
  func smallest() throws {
    let path = "\(packageFolder())/Tests/QModelFormatTests/Fixtures/v1/smallest.qmodel"
    let bytes = try readFile(path)
    var output = Parts.empty
    #expect(output.assemble() == bytes)
    #expect(bytes.count == 192)
    output.minor = 1
    #expect(output.assemble() != bytes)
    let specification = String(decoding: try readFile("\(packageFolder())/schemas/qmodel.md"), as: UTF8.self)
    #expect(specification.contains(hexDump(bytes)))
  }

  @Test("the smallest file is refused only for want of an output")
  func smallestIsRead() throws {
    let path = "\(packageFolder())/Tests/QModelFormatTests/Fixtures/v1/smallest.qmodel"
    let file = try QModelFile.open(path)
    let graph = try QModelReader.decode(file, .standard, .heap)
    #expect(graph.valueIDs.isEmpty && graph.order.isEmpty && graph.metadata.isEmpty)
    #expect(throws: Refusal.self) { try QModelReader.read(path) }
  }

  @Test("the file of version 1.0 is still read, and its content still written")
  func golden() throws {
    let path = "\(packageFolder())/Tests/QModelFormatTests/Fixtures/v1/sample.qmodel"
    if unsafe getenv("RECORD_SNAPSHOTS") != nil {
      try write(written(sampleGraph()), to: path)
      Issue.record("recorded")
    }
    let bytes = try readFile(path)
    #expect(text(try reading(bytes)) == text(try sampleGraph()))
    // Compressed bytes may differ between versions of zlib; what is compressed may not.
    #expect(try rawSections(written(sampleGraph())) == rawSections(bytes))
  }

  @Test("compression keeps the smallest form of each tensor")
  func compression() throws {
    var graph = Graph(name: "")
    var random = SplitMix64(seed: 11)
    let normal = try Tensor.make(.int8, [40_000], (0..<40_000).map { _ in Int8(random.normal() * 20) })
    let half = try Tensor.make(.float16, [20_000], (0..<20_000).map { _ in Float16(random.normal() * 0.05) })
    let noise = try random.bits(.uint8, [10_000])
    let zeros = try Tensor.make(.float32, [10_000], [Float](repeating: 0, count: 10_000))
    for (index, tensor) in [normal, half, noise, zeros].enumerated() {
      let constant = graph.addConstant("t\(index)", tensor)
      let node = try graph.addNode(
        .transpose(Transpose(perm: [0])),
        inputs: [constant],
        outputNames: ["o\(index)"]
      )
      graph.addOutput(graph[node].outputs[0])
    }
    let bytes = try written(graph, compress: true)
    let sections = try Parts(bytes).sections.map(\.section)
    #expect(sections[2].codec == .zlib)
    #expect(Double(sections[2].storedLength) < 0.9 * 40_000)
    #expect(sections[3].codec == .zlibPlanes(elementSize: 2))
    #expect(Double(sections[3].storedLength) < 0.9 * 40_000)
    #expect(sections[4].codec == .raw)
    #expect(sections[5].storedLength < 200)
    #expect(constants(try reading(bytes)) == constants(graph))
  }

  @Test("an output that cannot be written is refused and leaves nothing")
  func faults() throws {
    let graph = try sampleGraph()
    #expect(throws: Refusal.self) { try QModelWriter.write(graph, to: "/dev/full") }
    try withTemporaryFolder { folder in
      #expect(throws: Refusal.self) { try QModelWriter.write(graph, to: "\(folder)/missing/m.qmodel") }
      #expect(throws: Refusal.self) { try QModelWriter.write(graph, to: folder) }
      #expect(entries(folder).isEmpty)
    }
  }

  @Test("an invalid graph is refused before anything is written")
  func invalid() throws {
    try withTemporaryFolder { folder in
      #expect(throws: Refusal.self) { try QModelWriter.write(Graph(name: "none"), to: "\(folder)/m.qmodel") }
      #expect(entries(folder).isEmpty)
    }
  }
}

extension Parts {
  /// The smallest legal file.
  static var empty: Parts {
    var parts = Parts()
    for (id, kind) in [SectionKind.graph, .metadata].enumerated() {
      let section = Section(
        offset: 0,
        storedLength: 0,
        rawLength: 0,
        storedChecksum: 0,
        rawChecksum: 0,
        id: id,
        kindNumber: kind.rawValue,
        codec: .raw,
        isOptional: false
      )
      parts.sections.append((section, []))
    }
    return parts
  }
}

/// Sixteen bytes a line, as in the specification.
func hexDump(_ bytes: [UInt8]) -> String {
  stride(from: 0, to: bytes.count, by: 16).map { start in
    let line = bytes[start..<min(start + 16, bytes.count)].map { byte in
      (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    let offset = String(start, radix: 16)
    return "    " + String(repeating: "0", count: 4 - offset.count) + offset + "  "
      + line.joined(separator: " ")
  }.joined(separator: "\n")
}
