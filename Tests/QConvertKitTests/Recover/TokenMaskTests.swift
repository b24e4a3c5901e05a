import BinaryIO
import GraphIR
import Testing

@testable import QConvertKit

@Suite struct TokenMaskTests {
  @Test("rows of padding do not count, in values with a row per token only")
  func rows() throws {
    let ids = try Tensor.make(.int64, [2, 3], [Int64](repeating: 7, count: 6))
    let mask = TokenMask([
      "input_ids": ids, "attention_mask": try Tensor.make(.int64, [2, 3], [1, 1, 0, 1, 0, 0] as [Int64]),
    ])
    #expect(mask.rows(of: 6) == [0, 1, 3])
    #expect(mask.rows(of: 2) == [0, 1])
  }

  @Test("without a mask, or where it hides everything, all rows count")
  func all() throws {
    #expect(TokenMask([:]).rows(of: 3) == [0, 1, 2])
    let none = TokenMask(["attention_mask": try Tensor.make(.int64, [1, 2], [0, 0] as [Int64])])
    #expect(none.rows(of: 2) == [0, 1])
  }
}
