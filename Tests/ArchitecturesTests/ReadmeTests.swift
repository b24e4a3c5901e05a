import TestSupport
import Testing

@testable import Architectures

@Suite struct ReadmeTests {
  @Test("the README names every architecture")
  func architectures() throws {
    let words = try readmeSection("architectures").joined(separator: " ").split(separator: " ")
    let found = words.map { $0.filter { $0 != "`" && $0 != "," && $0 != "." } }
    #expect(found.sorted() == Architectures.allNames.sorted())
  }
}
