import BinaryIO
import GraphIR
import Testing

@testable import Passes

@Suite("QuantizeBlocks")
struct QuantizeBlocksTests {
  private func context(bits: Int = 4) -> PassContext {
    var options = PassOptions(scheme: .weightOnly)
    options.bits = bits
    return PassContext(options: options)
  }

  @Test("columns of a matrix product, in its own order of axes")
  func matMul() throws {
    let outcome = try run(
      .quantizeBlocks,
      """
      graph @net {
        input %x: f32[n, 4]
        const %w: f32[4, 2] = [-8, 0, 7, 14, 1, -16, 2, 6]
        %y: f32[n, 2] = matmul(%x, %w)
        output %y
      }
      """,
      context: context()
    )
    #expect(
      outcome.text == """
        graph @net {
          input %x: f32[n, 4]
          const %w: u8[2, 2] = [240, 169, 248, 176]
          const %w.scale: f16[2, 1] = [1, 2]
          %w.f32: f32[4, 2] = dequantize_blocks(%w, %w.scale) {bits = 4, block = 32, depth = 4, transposed = 1}
          %y: f32[n, 2] = matmul(%x, %w.f32)
          output %y
        }

        """
    )
  }

  @Test("rows of a gemm with trans_b; the weight of two products is stored once")
  func shared() throws {
    let outcome = try run(
      .quantizeBlocks,
      """
      graph @net {
        input %x: f32[n, 3]
        const %w: f32[1, 3] = [-2, 0, 1]
        %a: f32[n, 1] = gemm(%x, %w) {trans_b = 1}
        %b: f32[n, 1] = gemm(%x, %w) {trans_b = 1, activation = "relu"}
        output %a
        output %b
      }
      """,
      context: context(bits: 2)
    )
    #expect(
      outcome.body == """
        %w.f32: f32[1, 3] = dequantize_blocks(%w, %w.scale) {bits = 2, block = 32, depth = 3}
        %a: f32[n, 1] = gemm(%x, %w.f32) {trans_b = 1}
        %b: f32[n, 1] = gemm(%x, %w.f32) {trans_b = 1, activation = "relu"}
        output %a
        output %b
        """
    )
    #expect(outcome.floats("w") == [0b111000])
  }

  @Test(
    "a constant with other users, or channels on two axes, stays with a remark",
    arguments: ["%b: f32[2, 2] = relu(%w)", "%b: f32[n, 2] = matmul(%x, %w)"]
  )
  func missed(other: String) throws {
    let outcome = try run(
      .quantizeBlocks,
      """
      graph @net {
        input %x: f32[n, 2]
        const %w: f32[2, 2] = [1, 2, 3, 4]
        %a: f32[n, 2] = gemm(%x, %w) {trans_b = 1}
        \(other)
        output %a
        output %b
      }
      """,
      context: context()
    )
    #expect(!outcome.changed)
    #expect(Set(outcome.remarks.map(\.kind)) == [.missed])
  }

  @Test("beside blocks, tables become i8 with f32 scales")
  func pipeline() throws {
    var graph = try GraphParser.parse(
      """
      graph @net {
        input %i: i64[n, 1]
        const %t: f32[1024, 4] = external
        const %w: f32[4, 4] = external
        %e: f32[n, 1, 4] = gather(%t, %i)
        %y: f32[n, 1, 4] = matmul(%e, %w)
        output %y
      }
      """
    ) { _, type in
      let shape = type.knownDims ?? []
      return try? Tensor.floats((0..<shape.reduce(1, *)).map { Float($0 % 7 - 3) }, shape)
    }
    var context = context()
    _ = try PassManager().run(Pipelines.quantize(context.options), on: &graph, &context)
    let text = GraphPrinter.text(graph, constants: .small(16))
    for line in [
      "%w.f32: f32[4, 4] = dequantize_blocks(%w, %w.scale) {bits = 4, block = 32, depth = 4, transposed = 1}",
      "%e.scale: f32[n, 1, 1] = gather(%t.scale, %i)", "%e: f32[n, 1, 4] = dequantize_linear(%e.q, %e.scale)",
      "%y: f32[n, 1, 4] = matmul(%e, %w.f32)",
    ] { #expect(text.contains(line), "no \(line) in \(text)") }
  }

  @Test("weights that need a scale beyond f16 stay; convolutions are not asked")
  func left() throws {
    let outcome = try run(
      .quantizeBlocks,
      """
      graph @net {
        input %x: f32[n, 2]
        const %w: f32[1, 2] = [1e30, 2]
        %a: f32[n, 1] = gemm(%x, %w) {trans_b = 1}
        output %a
      }
      """,
      context: context()
    )
    #expect(!outcome.changed)
    #expect(outcome.remarks.map(\.kind) == [.missed])
    let conv = try run(
      .quantizeBlocks,
      """
      graph @net {
        input %x: f32[n, 1, 2, 2]
        const %w: f32[1, 1, 1, 1] = [1]
        %a: f32[n, 1, 2, 2] = conv(%x, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
        output %a
      }
      """,
      context: context()
    )
    #expect(!conv.changed)
    #expect(conv.remarks.isEmpty)
  }
}
