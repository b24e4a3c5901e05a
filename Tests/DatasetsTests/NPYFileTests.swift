import BinaryIO
import GraphIR
import Testing

@testable import Datasets

@Suite struct NPYFileTests {
  private func file(_ header: String, data: Int, version: [UInt8] = [1, 0]) -> [UInt8] {
    NPYFile.magic + version + [UInt8(header.utf8.count), 0] + Array(header.utf8)
      + [UInt8](repeating: 0, count: data)
  }

  @Test func versionsAndScalarsOfNumPyAreRead() throws {
    let flags = try NPYFile.read(file: Fixture.path("version2.npy"))
    #expect(flags.dtype == .bool && flags.elements(as: UInt8.self) == [1, 0])
    let scalar = try NPYFile.read(file: Fixture.path("scalar.npy"))
    #expect(scalar.shape.isEmpty && scalar.elements(as: Float.self) == [7])
  }

  @Test func whatIsWrittenReadsBack() throws {
    for shape in [[], [3], [2, 3], [0, 4], [1, 1, 1]] {
      let count = shape.reduce(1, *)
      let tensor = try Tensor.make(.int16, shape, (0..<count).map { Int16($0 - 2) })
      let header = try NPYFile.header(for: tensor)
      #expect(header.count % 64 == 0)
      let bytes = tensor.bytes.withBytes { span in (0..<span.byteCount).compactMap { span.byte($0) } }
      let back = try NPYFile.read(try slice(header + bytes))
      #expect(back.type == tensor.type && back.elements(as: Int16.self) == tensor.elements(as: Int16.self))
    }
  }

  @Test(arguments: ["fortran.npy", "big-endian.npy"])
  func otherLayoutsAreRefusedWithARemedy(_ name: String) {
    let refused = refusal { _ = try NPYFile.read(file: Fixture.path(name)) }
    #expect(refused?.kind == .unsupported && refused?.file == Fixture.path(name))
    #expect(refused?.remedy.contains("save it") == true)
  }

  @Test func bfloat16HasNoForm() throws {
    let tensor = try Tensor.make(.bfloat16, [1], [UInt16(0)])
    #expect(refusal { _ = try NPYFile.header(for: tensor) }?.kind == .unsupported)
  }

  @Test(
    arguments: [
      "", "{}", "{'descr': '<f4', 'fortran_order': False}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2)} x",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
      "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
      "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "{'descr': [('a', '<f4')]}",
      "{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}", "{'descr': '<f4", "{'shape': (1 2), ",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999, 0)}",
      "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2)}",
    ]
  )
  func malformedHeadersAreRefused(_ header: String) throws {
    let input = try slice(file(header, data: 8))
    #expect(refusal { _ = try NPYFile.read(input) }?.rule == "D5")
  }

  @Test func truncationAndDamageNeverTrap() throws {
    let good = file("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", data: 8)
    #expect(try NPYFile.read(try slice(good)).shape == [2])
    for count in 0..<good.count {
      let input = try slice(Array(good.prefix(count)))
      #expect(refusal { _ = try NPYFile.read(input) } != nil)
    }
    for index in good.indices.dropLast(8) {
      for bit in 0..<8 {
        var damaged = good
        damaged[index] ^= 1 << bit
        _ = try? NPYFile.read(try slice(damaged))
      }
    }
  }
}
