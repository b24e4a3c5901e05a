import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import QModelFormat

/// Protobuf by hand: a tag and what follows.
private func field(_ number: Int, _ wireType: Int, _ content: [UInt8]) -> [UInt8] {
  [UInt8(number << 3 | wireType)] + content
}

private func bytes(_ number: Int, _ content: [UInt8]) -> [UInt8] {
  field(number, 2, [UInt8(content.count)] + content)
}

/// The rule that refuses a file with these raw bytes as graph section.
private func rule(graph: [UInt8]) throws -> String? {
  var parts = try Parts(written(sampleGraph()))
  parts.replace(0, with: graph)
  parts.sections.removeLast(parts.sections.count - 2)
  return refusal(of: parts.assemble())?.rule
}

private func rule(metadata: [UInt8]) throws -> String? {
  var parts = try Parts(written(sampleGraph()))
  parts.replace(1, with: metadata)
  return refusal(of: parts.assemble())?.rule
}

private let input = bytes(3, bytes(1, [0x78]) + field(2, 0, [1]) + bytes(3, [2]))
private let relu = bytes(
  5,
  field(1, 0, [19]) + bytes(3, [1]) + bytes(5, bytes(1, [0x79]) + field(2, 0, [1]) + bytes(3, [2]))
)
private let output = bytes(6, [1])

/// Wire forms outside of the schema.
private func malformedForms() -> [[UInt8]] {
  var result: [[UInt8]] = []
  result.append(field(9, 0, [1]))
  result.append(field(1, 0, [1]))
  result.append(field(1, 3, []))
  result.append(field(0, 0, [0]))
  result.append(bytes(1, [0x61]) + bytes(1, [0x62]))
  result.append(bytes(6, [1]) + bytes(6, [1]))
  result.append(field(6, 0, [1]))
  result.append(field(1, 2, [5, 0x61]))
  result.append(field(1, 2, [0x80]))
  result.append(field(1, 2, [UInt8](repeating: 0xFF, count: 10) + [1]))
  result.append(bytes(5, field(1, 0, [0xFF, 0xFF, 0xFF, 0xFF, 0x1F])))
  result.append(bytes(6, [0xFF, 0xFF, 0xFF, 0xFF, 0x1F]))
  result.append(bytes(6, [0x80]))
  result.append(bytes(5, bytes(4, bytes(7, [0, 0, 0]))))
  result.append(bytes(5, bytes(4, field(4, 5, [0, 0]))))
  return result
}

/// Graph sections that break a rule, with its name.
private func brokenGraphs() -> [([UInt8], String)] {
  var result: [([UInt8], String)] = []
  func add(_ rule: String, _ graph: [UInt8]...) { result.append((graph.flatMap(\.self), rule)) }
  let name = bytes(1, [0x78])
  let u8 = field(2, 0, [2])
  func node(_ parts: [UInt8]...) -> [UInt8] {
    bytes(5, field(1, 0, [19]) + bytes(3, [1]) + parts.flatMap(\.self))
  }
  func attribute(_ parts: [UInt8]...) -> [UInt8] { bytes(4, parts.flatMap(\.self)) }
  // A value that is not defined yet, by a node and as an output.
  add("Q10", input, bytes(5, field(1, 0, [19]) + bytes(3, [2])))
  add("Q10", input, relu, bytes(6, [2]))
  // Operator 127, element type 8, the same name twice, no name, a symbol that does not exist.
  add("Q10", input, bytes(5, field(1, 0, [127])))
  add("Q10", bytes(3, name + field(2, 0, [8])))
  add("Q10", input, input)
  add("Q10", bytes(3, field(2, 0, [1])))
  add("Q10", bytes(3, name + field(2, 0, [1]) + bytes(3, [3])))
  // Text that is not UTF-8, a control character, nine dimensions.
  add("Q10", bytes(1, [0xFF]))
  add("L7", bytes(1, [0x0A]))
  add("L1", bytes(3, name + field(2, 0, [1]) + bytes(3, [UInt8](repeating: 2, count: 9))))
  // A constant without content, with both kinds, of the wrong size, in the metadata section.
  add("Q10", bytes(4, name + u8))
  add("Q10", bytes(4, name + u8 + field(4, 0, [2]) + bytes(5, [1])))
  add("Q11", bytes(4, name + u8 + bytes(5, [1, 2])))
  add("Q10", bytes(4, name + u8 + field(4, 0, [1])))
  // An attribute of kind 6, one whose kind and field differ, one the operator does not have.
  add("Q10", input, node(attribute(field(2, 0, [6]))))
  add("Q10", input, node(attribute(field(2, 0, [1]), bytes(5, [0x61]))))
  add("O27", input, node(attribute(bytes(1, [0x61]), field(2, 0, [1]), field(3, 0, [2]))))
  return result
}

@Suite struct WireScannerTests {
  @Test("a graph section written by hand is read")
  func valid() throws {
    #expect(try rule(graph: input + relu + output) == nil)
  }

  @Test("wire forms outside of the schema are refused", arguments: malformedForms())
  func malformed(extra: [UInt8]) throws {
    #expect(try rule(graph: input + relu + extra) == "Q10", "\(extra)")
  }

  @Test("content outside of the rules is refused", arguments: brokenGraphs())
  func rules(graph: [UInt8], expected: String) throws {
    #expect(try rule(graph: graph) == expected, "\(graph)")
  }

  @Test("metadata keys are unique, in order and named")
  func metadata() throws {
    func entry(_ key: [UInt8], _ value: [UInt8] = []) -> [UInt8] { bytes(1, bytes(1, key) + bytes(2, value)) }
    #expect(try rule(metadata: entry([0x61]) + entry([0x62], [0x63])) == nil)
    #expect(try rule(metadata: entry([0x61]) + entry([0x61])) == "Q17")
    #expect(try rule(metadata: entry([0x62]) + entry([0x61])) == "Q17")
    #expect(try rule(metadata: entry([0x07])) == "L7")
    #expect(try rule(metadata: entry([0x61], [0xFF])) == "Q10")
    #expect(try rule(metadata: bytes(2, [])) == "Q10")
  }

  @Test("random changes of a section under right checksums never crash")
  func mutations() throws {
    let original = try Parts(written(sampleGraph()))
    let file = try QModelFile.parse(slice(original.assemble()))
    let graph = unsafe try file.read(file.sections[0]).withUnsafeBytes { unsafe Array($0) }
    var random = SplitMix64(seed: 2026)
    for _ in 0..<1500 {
      var changed = graph
      for _ in 0..<random.int(1...3) {
        let offset = random.int(0...(changed.count - 1))
        switch random.int(0...2) {
        case 0: changed[offset] = UInt8(random.int(0...255))
        case 1: changed.remove(at: offset)
        default: changed.insert(UInt8(random.int(0...255)), at: offset)
        }
      }
      var parts = original
      parts.replace(0, with: changed)
      _ = refusal(of: parts.assemble())
    }
  }
}
