import TestSupport
import Testing

@testable import ONNXReader

@Suite struct ReadmeTests {
  @Test("the README's table of operators is the reader's")
  func operators() throws {
    var rows: [(range: ClosedRange<Int>, names: [String])] = []
    for entry in OperatorTable.sorted {
      let range = entry.operatorSets.clamped(to: Importer.operatorSets)
      if let index = rows.firstIndex(where: { $0.range == range }) {
        rows[index].names.append(entry.name)
      } else {
        rows.append((range, [entry.name]))
      }
    }
    rows.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
    let table = rows.map { row in
      "| \(row.range.lowerBound) to \(row.range.upperBound) | \(row.names.joined(separator: ", ")) |"
    }
    let expected = ["| Opsets | Operators |", "|---|---|"] + table
    let found = try readmeSection("operators")
    #expect(found == expected, "the table must be:\n\(expected.joined(separator: "\n"))")
  }
}
