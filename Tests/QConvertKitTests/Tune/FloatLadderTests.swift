import GraphIR
import Passes
import TestSupport
import Testing

@testable import QConvertKit

@Suite struct FloatLadderTests {
  /// Two layers of 16 weights with 16 products each, measured as given: all, activations, weights, in dB.
  private func ladder(_ measured: [(Double, Double, Double)]) throws -> FloatLadder {
    let constants = measured.indices.map {
      "const %w\($0): f32[4, 4] = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]"
    }
    let nodes = measured.indices.map { index in
      "%y\(index): f32[1, 4] = gemm(%\(index == 0 ? "x" : "y\(index - 1)"), %w\(index))"
    }
    let network = try graph(
      """
      graph @net {
        input %x: f32[1, 4]
      \((constants + nodes + ["output %y\(measured.count - 1)"]).map { "  \($0)" }.joined(separator: "\n"))
      }
      """
    )
    let layers = QuantizableLayer.all(in: network, PassOptions())
    return FloatLadder(
      zip(layers, measured).map { layer, decibels in
        let row = SensitivityReport.Layer(
          name: layer.name,
          node: "",
          op: layer.op,
          weight: layer.weightName,
          weights: layer.weights,
          sqnrDB: decibels.0,
          activationsSQNRDB: decibels.1,
          weightsSQNRDB: decibels.2
        )
        return (layer, row)
      }
    )
  }

  private func text(_ ladder: FloatLadder) -> [String] {
    ladder.steps.map { "\($0.layer.name) \($0.format.rawValue)" }
  }

  @Test("a layer spoilt by its activations gives them up first, one spoilt by its weights both at once")
  func rungs() throws {
    #expect(text(try ladder([(20, 20.1, 40)])) == ["y0 i8", "y0 f16"])
    #expect(text(try ladder([(20, 40, 20.1)])) == ["y0 f16"])
  }

  @Test("steps come in the order of the noise they remove")
  func order() throws {
    // In shares of the signal: 0.01 and 0.0001 from the first, 0.0031 from the weights of the second.
    let mixed = try ladder([(20, 20.1, 40), (25, 60, 25)])
    #expect(text(mixed) == ["y0 i8", "y1 f16", "y0 f16"])
    let after = mixed.layers(after: 3)
    #expect(after.map(\.layer.name) == ["y0", "y1"])
    #expect(after.map(\.format) == [.float16, .float16])
    #expect(mixed.layers(after: 1).map(\.format) == [.int8])
    #expect(mixed.layers(after: 0).isEmpty)
  }

  @Test("layers that quantization leaves as they are come last, in the order of the report")
  func exact() throws {
    let mixed = try ladder([(200, 200, 200), (30, 31, 40), (200, 200, 200)])
    #expect(text(mixed) == ["y1 i8", "y1 f16", "y0 f16", "y2 f16"])
  }
}
