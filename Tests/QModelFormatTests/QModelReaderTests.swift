import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import QModelFormat

@Suite struct QModelReaderTests {
  @Test("a byte changed to any other value is refused")
  func everyValue() throws {
    for compress in [false, true] {
      var bytes = try written(sampleGraph(), compress: compress)
      for offset in bytes.indices {
        let old = bytes[offset]
        let values: any Sequence<UInt8> =
          offset < 256 && !compress
          ? (0...255).map { UInt8($0) } : (0..<8).map { old ^ (1 << $0) } + [0, 255, old &+ 1]
        for value in values where value != old {
          bytes[offset] = value
          guard refusal(of: bytes) != nil else {
            Issue.record("byte \(offset) changed from \(old) to \(value) is accepted")
            return
          }
        }
        bytes[offset] = old
      }
      #expect(refusal(of: bytes) == nil)
    }
  }

  @Test("a file cut at any byte is refused")
  func truncation() throws {
    let bytes = try written(sampleGraph())
    for count in bytes.indices { #expect(refusal(of: Array(bytes[..<count]))?.rule == "Q2", "\(count)") }
  }

  @Test("appended bytes are refused")
  func appended() throws {
    let bytes = try written(sampleGraph())
    for count in [1, 63, 64, 4096] {
      #expect(refusal(of: bytes + [UInt8](repeating: 0, count: count))?.rule == "Q2")
    }
  }

  @Test("swapped sections of equal length and type are refused, even under a recomputed index")
  func swapped() throws {
    var graph = Graph(name: "")
    var random = SplitMix64(seed: 3)
    for name in ["a", "b"] {
      let constant = graph.addConstant(name, try random.floats([32]))
      let node = try graph.addNode(.unary(Unary(.relu)), inputs: [constant], outputNames: ["\(name)_out"])
      graph.addOutput(graph[node].outputs[0])
    }
    let bytes = try written(graph)
    let sections = try Parts(bytes).sections.map(\.section)
    var swapped = bytes
    for index in 0..<128 { swapped.swapAt(sections[2].offset + index, sections[3].offset + index) }
    #expect(refusal(of: swapped)?.rule == "Q4")
    for position in [2, 3] {
      var entry = sections[position]
      entry.storedChecksum = sections[5 - position].storedChecksum
      entry.rawChecksum = sections[5 - position].rawChecksum
      swapped.replaceSubrange((64 + 48 * position)..<(64 + 48 * (position + 1)), with: entry.bytes)
    }
    put(CRC32(Array(swapped[64..<(64 + 48 * 4)])).value, at: 36, in: &swapped)
    put(CRC32(Array(swapped[..<60])).value, at: 60, in: &swapped)
    #expect(refusal(of: swapped)?.rule == "Q1")
  }

  @Test("a section from another file is refused")
  func transplanted() throws {
    let a = try written(sampleGraph(seed: 1))
    let b = try written(sampleGraph(seed: 2))
    let section = try Parts(a).sections[2].section
    var mixed = a
    mixed.replaceSubrange(section.offset..<section.end, with: b[section.offset..<section.end])
    #expect(refusal(of: mixed)?.rule == "Q4")
  }

  @Test("a zeroed page is refused")
  func zeroedPage() throws {
    var graph = Graph(name: "")
    var random = SplitMix64(seed: 5)
    let constant = graph.addConstant("a", try random.floats([8192]))
    let node = try graph.addNode(.unary(Unary(.relu)), inputs: [constant], outputNames: ["out"])
    graph.addOutput(graph[node].outputs[0])
    let bytes = try written(graph)
    for page in 0..<(bytes.count / 4096) {
      var damaged = bytes
      damaged.replaceSubrange((page * 4096)..<((page + 1) * 4096), with: [UInt8](repeating: 0, count: 4096))
      #expect(refusal(of: damaged) != nil)
    }
  }

  @Test("parts put together again are the same file")
  func reassembly() throws {
    let bytes = try written(sampleGraph(), compress: true)
    #expect(try Parts(bytes).assemble() == bytes)
  }

  @Test("a newer minor version is read, a newer major version and unknown features are not")
  func versions() throws {
    var parts = try Parts(written(sampleGraph()))
    parts.minor = 9
    #expect(refusal(of: parts.assemble()) == nil)
    parts.major = 2
    let newer = refusal(of: parts.assemble())
    #expect(newer?.kind == .unsupported)
    #expect(
      newer?.description.contains("is in version 2.9, this qconvert understands 1.x [Q1]; use a newer")
        == true
    )
    parts.major = 1
    for bit in 0..<32 {
      parts.features = 1 << bit
      #expect(refusal(of: parts.assemble())?.kind == .unsupported)
    }
  }

  @Test("an unknown section is skipped when optional, refused otherwise; its checksum counts")
  func unknownSections() throws {
    var parts = try Parts(written(sampleGraph()))
    var extra = parts.sections[2]
    extra.section.id = parts.sections.count
    extra.section.kindNumber = 77
    extra.section.isOptional = true
    parts.sections.append(extra)
    var bytes = parts.assemble()
    #expect(refusal(of: bytes) == nil)
    bytes[bytes.count - 1] ^= 1
    #expect(refusal(of: bytes)?.rule == "Q4")
    parts.sections[parts.sections.count - 1].section.isOptional = false
    #expect(refusal(of: parts.assemble())?.rule == "Q9")
    parts.sections[2].section.isOptional = true
    #expect(refusal(of: parts.assemble())?.rule == "Q9")
  }

  @Test("a tensor section that nobody uses, or a missing one, is refused")
  func tensorCount() throws {
    var parts = try Parts(written(sampleGraph()))
    var extra = parts.sections[2]
    extra.section.id = parts.sections.count
    parts.sections.append(extra)
    #expect(refusal(of: parts.assemble())?.rule == "Q10")
    parts.sections.removeLast(2)
    #expect(refusal(of: parts.assemble())?.rule == "Q10")
  }

  @Test("a tensor of the wrong size is refused")
  func tensorSize() throws {
    var parts = try Parts(written(sampleGraph()))
    parts.replace(2, with: parts.sections[2].stored + [1])
    #expect(refusal(of: parts.assemble())?.rule == "Q11")
  }

  @Test("sections in the wrong order are refused")
  func order() throws {
    var parts = try Parts(written(sampleGraph()))
    parts.sections.swapAt(0, 1)
    for index in 0...1 { parts.sections[index].section.id = index }
    #expect(refusal(of: parts.assemble())?.rule == "Q9")
  }

  @Test("compressed sections must be one exact stream")
  func streams() throws {
    let original = try Parts(written(sampleGraph(), compress: true))
    let graph = original.sections[0]
    #expect(graph.section.codec == .zlib)
    func rule(_ change: (inout (section: Section, stored: [UInt8])) -> Void) -> String? {
      var parts = original
      change(&parts.sections[0])
      return refusal(of: parts.assemble())?.rule
    }
    #expect(rule { _ in } == nil)
    #expect(rule { $0.stored.append(0) } == "Q7")
    #expect(rule { $0.stored.removeLast() } == "Q7")
    #expect(rule { $0.section.rawLength += 1 } == "Q7")
    #expect(rule { $0.section.rawLength -= 1 } == "Q7")
    #expect(rule { $0.section.rawChecksum ^= 1 } == "Q5")
    #expect(rule { $0.stored[1] ^= 0x20 } == "Q7")
    #expect(rule { $0.section.rawLength = $0.stored.count * 1040 + 65 } == "Q7")
    #expect(rule { $0.section.rawLength = 1 << 42 } == "Q7")
    #expect(rule { $0.section.codec = .zlibPlanes(elementSize: 4) } != nil)
  }

  @Test("a bomb is refused before its size is allocated")
  func bomb() throws {
    var parts = try Parts(written(sampleGraph()))
    parts.sections[0].stored = [UInt8](repeating: 0, count: 3 << 20)
    parts.sections[0].section.codec = .zlib
    parts.sections[0].section.rawLength = 1 << 31
    #expect(refusal(of: parts.assemble())?.rule == "L11")
  }

  @Test("a section count beyond the file or the limits is refused")
  func counts() throws {
    let bytes = try written(sampleGraph())
    for (count, rule) in [
      (0, "L5"), (1, "L5"), (1_000_000, "Q3"), (1_000_003, "L5"), (Int(UInt32.max), "L5"),
    ] {
      var changed = bytes
      put(UInt32(count), at: 32, in: &changed)
      put(CRC32(Array(changed[..<60])).value, at: 60, in: &changed)
      #expect(refusal(of: changed)?.rule == rule)
    }
  }

  @Test("other files and damaged transfers are told apart")
  func magic() throws {
    let bytes = try written(sampleGraph())
    var stripped = bytes
    stripped[0] &= 0x7F
    #expect(refusal(of: stripped)?.problem.contains("text mode") == true)
    var translated = bytes
    translated.remove(at: 4)
    #expect(refusal(of: translated)?.problem.contains("text mode") == true)
    #expect(refusal(of: [UInt8](repeating: 0x50, count: 100))?.problem.contains("does not begin") == true)
    #expect(refusal(of: [])?.rule == "Q2")
  }

  @Test("raw tensors are slices of the mapping, aligned to 64 bytes")
  func inPlace() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/m.qmodel"
      try QModelWriter.write(sampleGraph(), to: path)
      let graph = try QModelReader.read(path)
      let weight = try #require(graph.value(named: "w").flatMap { graph[$0].constant })
      #expect(weight.bytes.storage.count == (try readFile(path)).count)
      #expect(weight.bytes.isAligned(to: 64))
    }
  }
}
