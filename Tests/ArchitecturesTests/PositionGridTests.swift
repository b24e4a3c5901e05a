import GraphIR
import Safetensors
import TestSupport
import Testing

@testable import Architectures

@Suite struct PositionGridTests {
  @Test(
    "tables are resampled as PyTorch does it",
    arguments: [
      ("interpolated", PositionGrid.Filter.interpolated(scaleOffset: 0)),
      ("antialiased", .antialiased), ("offset", .interpolated(scaleOffset: 0.1)),
    ],
    [(3, 2), (5, 8), (7, 4)]
  )
  func resampled(filter: (name: String, value: PositionGrid.Filter), size: (Int, Int)) throws {
    let path = "\(packageFolder())/Tests/ArchitecturesTests/Fixtures/positions.safetensors"
    let arrays = try SafetensorsFile.open(path).entries
    let table = try #require(arrays.first { $0.name == "table" }).tensor
    let name = "\(filter.name)_\(size.0)x\(size.1)"
    let expected = try #require(arrays.first { $0.name == name }).tensor.elements(as: Float.self)
    let grid = PositionGrid(side: 5, rows: size.0, columns: size.1, filter: filter.value)
    let got = try grid.resampled(table, prefix: 0)
    #expect(got.shape == [1, size.0 * size.1, 3])
    let error = zip(got.elements(as: Float.self), expected).map { abs($0 - $1) }.max() ?? 1
    #expect(error < 1e-5, "\(name): \(error)")
  }

  @Test("a table of the right size stays, without the entries of other tokens")
  func identity() throws {
    let table = try Tensor.floats((0..<10).map { Float($0) }, [1, 5, 2])
    let grid = PositionGrid(side: 2, rows: 2, columns: 2, filter: .antialiased)
    #expect(try grid.resampled(table, prefix: 1).elements(as: Float.self) == [2, 3, 4, 5, 6, 7, 8, 9])
    #expect(try table.leadingRows(1).elements(as: Float.self) == [0, 1])
  }
}
