import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import Datasets

@Suite struct ModelInputTests {
  /// Two tables of 5 and 2 rows, and a mask.
  private func tokens() throws -> [ModelInput] {
    let graph = try graph(
      """
      graph @tokens {
        input %ids: i64[batch, length]
        input %mask: i64[batch, length]
        input %types: i32[batch, length]
        const %words: f32[5, 2] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
        const %kinds: f32[2, 2] = [1, 2, 3, 4]
        %wide: i64[batch, length] = cast(%types) {to = "i64"}
        %a: f32[batch, length, 2] = gather(%words, %ids)
        %b: f32[batch, length, 2] = gather(%kinds, %wide)
        %c: f32[batch, length, 2] = add(%a, %b)
        %d: f32[batch, length] = cast(%mask) {to = "f32"}
        output %c
        output %d
      }
      """
    )
    return ModelInput.inputs(of: graph)
  }

  @Test("integers that pick rows number the rows of the table, through a cast, too; those of a mask are 1")
  func rows() throws {
    let inputs = try tokens()
    #expect(inputs.map(\.name) == ["ids", "mask", "types"])
    #expect(inputs.map(\.integers) == [0...4, 1...1, 0...1])
  }

  @Test("without a table, nothing is known of integers")
  func free() throws {
    let graph = try graph(
      """
      graph @net {
        input %x: i64[3]
        %y: f32[3] = cast(%x) {to = "f32"}
        output %y
      }
      """
    )
    #expect(ModelInput.inputs(of: graph).map(\.integers) == [nil])
  }

  @Test("made-up samples keep to it, and reach every row")
  func samples() throws {
    let inputs = try tokens()
    for data in [
      try Dataset.noise(for: inputs, count: 4),
      try Dataset.synthetic(for: inputs, preprocessing: nil, count: 4),
    ] {
      var seen: Set<Int64> = []
      for index in 0..<data.count {
        let sample = try data.sample(index).inputs
        seen.formUnion(try #require(sample["ids"]).elements(as: Int64.self))
        #expect(try #require(sample["mask"]).elements(as: Int64.self).allSatisfy { $0 == 1 })
        #expect(try #require(sample["types"]).elements(as: Int32.self).allSatisfy { 0...1 ~= $0 })
      }
      #expect(seen == [0, 1, 2, 3, 4])
    }
  }
}
