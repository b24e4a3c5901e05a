import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import QModelFormat

@Suite struct OpCodesTests {
  @Test("numbers are those of the specification, which is append-only")
  func pinned() throws {
    let specification = String(decoding: try readFile("\(packageFolder())/schemas/qmodel.md"), as: UTF8.self)
    #expect(specification.contains(opCodeTable()))
    #expect(OpCodes.table.count == 91)
    let pinned = [
      1: "conv", 9: "global_average_pool", 19: "relu", 43: "add", 63: "reshape", 81: "dynamic_quantize",
      82: "dequantize_blocks", 83: "lstm", 84: "gru", 85: "mish",
      91: "tile",
    ]
    for (code, name) in pinned { #expect(OpCodes.name(of: code) == name) }
    for (index, name) in OpCodes.table.enumerated() { #expect(OpCodes.code(of: name) == index + 1) }
    for code in [-1, 0, 92, Int.max, Int.min + 1] { #expect(OpCodes.name(of: code) == nil) }
  }

  @Test("every operator of a family has a number")
  func complete() {
    let names =
      Unary.Kind.allCases.map(\.rawValue) + Binary.Kind.allCases.map(\.rawValue)
      + Compare.Kind.allCases.map(\.rawValue) + GlobalPool.Kind.allCases.map(\.rawValue)
      + Reduce.Kind.allCases.map(\.rawValue)
    for name in names { #expect(OpCodes.code(of: name) != nil, "\(name)") }
  }

  @Test("every number is an operator")
  func known() {
    for name in OpCodes.table {
      do { _ = try Op(name: name, attributes: Attributes()) } catch {
        #expect(error.rule != "O29", "\(name)")
      }
    }
  }
}

/// The table of the specification: five to a line.
func opCodeTable() -> String {
  let items = OpCodes.table.enumerated().map { "\($0 + 1) \($1)" }
  return stride(from: 0, to: items.count, by: 5).map { start in
    "    " + items[start..<min(start + 5, items.count)].joined(separator: ", ")
  }.joined(separator: ",\n")
}
